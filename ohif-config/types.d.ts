/**
 * Types of what the viewer's JavaScript meets: the server's answers, the panel's state, and the part of OHIF 3.13 and Cornerstone3D
 * that we use. Written by hand from their sources, because OHIF is fetched built and publishes no types for modules loaded at run
 * time. A service or method that is not here is one that we do not depend on.
 */

type Point = number[];
type Matrix = number[][];
/** First and last + 1 index on each axis: [[i0, i1], [j0, j1], [k0, k1]]. */
type Box = number[][];

/** What the server answers (`braintumor.server.api`). */
declare namespace Api {
  interface Words {
    title: string;
    detail?: string;
    remedy?: string;
    code?: string;
    status?: number;
    /** Of a conflict: the version that was submitted meanwhile. */
    newer?: { author: string; created: string | null };
  }
  interface Job {
    id: string;
    kind: string;
    subject: string;
    state: string;
    stage: string;
    share: number;
    problem: Words | null;
    result: { model_version?: string } | null;
  }
  interface Label {
    value: number;
    segment: number;
    name: string;
    short: string;
    rgb: number[];
    regions: string[];
  }
  interface Region {
    name: string;
    title: string;
    labels: number[];
  }
  interface About {
    model: { name: string; version: string; checksum: string };
    labels: Label[];
    regions: Region[];
    strategies: string[];
    research_use: string;
  }
  interface Flag {
    severity: 'info' | 'warning' | 'serious';
    message: string;
    /** The message by language code; of a report only. */
    messages?: Record<string, string>;
  }
  interface Version {
    uid: string;
    kind: 'human' | 'model';
    author: string;
    model_version: string | null;
    created: string | null;
    referenced_series: string;
    change: { dice: Record<string, number>; added_ml: number; removed_ml: number; changed_ml: number } | null;
  }
  interface Prior {
    uid: string;
    date: string | null;
  }
  interface Study {
    date: string | null;
    sequences: Record<string, Sequence>;
    references: string[];
    versions: Version[];
    flags: Flag[];
    priors: Prior[];
  }
  interface Sequence {
    sequence: string | null;
    title: string;
  }
  /** Voxels on a series' grid: label values of a mask, or entropy 0..255; i fastest, then j, then k. */
  interface Voxels {
    voxels: Uint8Array<ArrayBuffer>;
    shape: number[];
    version: string | null;
    measurements: object | null;
  }
  interface Submission {
    series: string;
    annotator: string;
    base?: string;
    force?: boolean;
  }
  interface Click {
    ijk: number[];
    label: number;
  }
  interface CurvePoint {
    step: number;
    loss: number;
    dice?: number | null;
  }
  interface Verdict {
    published: boolean;
    version: string;
    reason: string;
    before?: Record<string, number | null>;
    after?: Record<string, number | null>;
  }
  interface Training {
    job: Job | null;
    curve: CurvePoint[];
    last: Verdict | null;
  }
  interface Models {
    current: string;
    versions: { version: string; made: string | null }[];
  }
  interface Estimate {
    value: number;
    standard_error: number;
  }
  interface Alignment {
    sequence: string;
    expected_error_mm: number;
    rotation_deg: number;
    transform_lps: Matrix;
  }
  interface Visit {
    study_uid: string;
    date: string | null;
    volume_ml: Record<string, Estimate>;
    alignment_to_current: Alignment | null;
  }
  interface Rano {
    category: string;
    confirmation: string;
    rule: string;
    inputs_missing: string[];
  }
  interface Timeline {
    visits: Visit[];
    changes: { regions: Record<string, { ml: Estimate; words: string }> }[];
    flags: Flag[];
    rano: Rano[];
    rano_not_assessed: string | null;
    notice: string;
  }
  /** What images do not say of one visit. */
  interface Facts {
    steroid_mg?: number | null;
    clinical?: string | null;
    preoperative?: boolean;
  }
  /** The server's `TrackRequest`. */
  interface Wish {
    known?: Record<string, Facts>;
    baseline?: string | null;
    radiotherapy_end?: string | null;
  }
  interface Track {
    timeline: Timeline;
    wish: Wish;
    fresh: boolean;
  }
  interface ReportRegion {
    title: string;
    ml: number;
    prior_ml: number | null;
    change_ml: number | null;
    change_percent: number | null;
    direction: 'grown' | 'shrunk' | 'unchanged';
  }
  interface Section {
    name: string;
    titles: Record<string, string>;
    lines: Record<string, { text: string; origin: string }[]>;
    edited_alone: string[];
  }
  interface Language {
    code: string;
    name: string;
  }
  interface Report {
    status: 'draft' | 'final';
    version: number;
    fresh: boolean;
    sendable: boolean;
    study_date: string;
    patient: { name: string; id: string };
    approved: { by: string; when: string };
    languages: Language[];
    sections: Section[];
    regions: ReportRegion[];
    flags: Flag[];
    pictures: { name: string; caption: string }[];
    history: { when: string; action: string; who: string; detail: string }[];
  }
}

/** What the panel shows. */
declare namespace Panel {
  /** The mask on the screen; `known` is the newest label by a person when it was loaded. */
  interface Mask {
    version: string | null;
    kind: 'model' | 'human' | 'empty';
    author?: string;
    known: string;
  }
  interface Volumes {
    labels: Uint32Array;
    ml: (value: number) => number;
    regions: Record<string, number>;
    addedMl: number;
    removedMl: number;
    changedMl: number;
    changed: number;
  }
  interface Notice {
    id: string;
    kind: 'error' | 'info' | 'done';
    title: string;
    detail?: string;
    remedy?: string;
    actions?: { label: string; run: () => unknown }[];
  }
  interface State {
    phase: 'connecting' | 'ready' | 'offline';
    about: Api.About | null;
    study: string;
    info: Api.Study | null;
    series: string;
    mask: Mask | null;
    volumes: Volumes | null;
    dirty: boolean;
    savedAt: number | null;
    segment: number;
    hidden: number[];
    job: Api.Job | null;
    busy: string | null;
    uncertainty: 'off' | 'loading' | 'on';
    tool: string | null;
    brush: number;
    refining: boolean;
    training: Api.Training | null;
    models: Api.Models | null;
    track: Api.Track | null;
    tracking: Api.Job | null;
    strategy: string;
    notices: Notice[];
    help: boolean;
  }
  /** A piece of the panel: what is seen, and how it follows the state. */
  interface Part {
    element: HTMLElement;
    update: (state: State) => void;
    end?: () => void;
  }
  interface Draft {
    id: string;
    study: string;
    series: string;
    shape: number[];
    voxels: Uint8Array<ArrayBuffer>;
    base: string | null;
    known?: string;
    at: number;
  }
  /** A series' grid as the server numbers its voxels, in mm. */
  interface Grid {
    shape: number[];
    origin: Point;
    axes: Point[];
    spacing: number[];
    voxelMl: number;
    frame: string;
  }
  interface Tables {
    toIndex: Uint8Array;
    toValue: Uint8Array;
  }
  /** One segment of a labelmap. */
  interface Row {
    segment: number;
    name: string;
    rgb: number[];
  }
}

/** What we use of OHIF and of the two Cornerstone libraries that it puts on `window`. */
declare namespace Ohif {
  interface Listened {
    addEventListener(name: string, listener: (event: CustomEvent) => unknown): void;
    removeEventListener(name: string, listener: (event: CustomEvent) => unknown): void;
  }
  interface Camera {
    position: Point;
    focalPoint: Point;
    viewUp: Point;
    viewPlaneNormal: Point;
    parallelScale: number;
  }
  interface View {
    type: string;
    element: HTMLElement & Listened;
    getAllVolumeIds?(): string[];
    getFrameOfReferenceUID(): string;
    getCamera(): Camera;
    setCamera(camera: Camera): void;
    render(): void;
  }
  interface DisplaySet {
    StudyInstanceUID: string;
    SeriesInstanceUID: string;
    SeriesDescription?: string;
    imageIds: string[];
  }
  interface Representation {
    type: string;
    segments: Record<number, { segmentIndex: number; color?: number[] }>;
  }
  interface Subscribed {
    EVENTS: Record<string, string>;
    subscribe(event: string, listener: () => void): { unsubscribe: () => void };
  }
  interface Services {
    viewportGridService: { getState(): { viewports: Map<string, { displaySetInstanceUIDs?: string[] }> }; getActiveViewportId(): string };
    cornerstoneViewportService: Subscribed & { getCornerstoneViewport(id: string): View | undefined; destroy(): void };
    displaySetService: { getActiveDisplaySets(): DisplaySet[]; getDisplaySetByUID(uid: string): DisplaySet | undefined };
    segmentationService: {
      getSegmentation(id: string): object | undefined;
      createLabelmapForDisplaySet(set: DisplaySet, options: { segmentationId: string; label: string; segments: object }): Promise<string>;
      remove(id: string): void;
      getSegmentationRepresentations(viewportId: string, which: { segmentationId: string }): Representation[];
      addSegmentationRepresentation(viewportId: string, what: { segmentationId: string; type: string }): Promise<void>;
      setSegmentColor(viewportId: string, id: string, segment: number, rgba: number[]): void;
      setActiveSegmentation(viewportId: string, id: string): void;
      setActiveSegment(id: string, segment: number): void;
      setSegmentVisibility(viewportId: string, id: string, segment: number, visible: boolean, type: string): void;
      setStyle(which: { segmentationId: string; type: string }, style: object): void;
      destroy(): void;
    };
    hangingProtocolService: { addCustomAttribute(id: string, name: string, answer: (set: DisplaySet) => string): void };
    toolbarService: {
      register(buttons: unknown): void;
      updateSection(name: string, buttons: unknown): void;
      refreshToolbarState(where: { viewportId: string }): void;
    };
    toolGroupService: { createToolGroupAndAddTools(id: string, tools: unknown): void; destroy(): void };
    customizationService: { getCustomization(name: string): any };
    measurementService: { clearMeasurements(): void };
    syncGroupService: { destroy(): void };
    uiDialogService: { hideAll(): void };
    uiModalService: { hide(): void };
  }
  interface Managers {
    servicesManager: { services: Services };
    commandsManager: { run(command: string, options?: object): any };
    extensionManager: { getActiveDataSource(): unknown[]; getModuleEntry(name: string): { exports: any } };
  }
  interface ToolGroup {
    hasTool(name: string): boolean;
    addTool(name: string, configuration: object): void;
    setToolActive(name: string): void;
    getToolInstance(name: string): { getHandleNearImagePoint?: () => undefined; isPointNearTool?: () => boolean };
  }
  interface Plane {
    rowCosines: Point;
    columnCosines: Point;
    imagePositionPatient: Point;
    rows: number;
    columns: number;
    rowPixelSpacing: number;
    columnPixelSpacing: number;
    sliceThickness?: number;
    frameOfReferenceUID: string;
  }
  interface Image {
    rows: number;
    columns: number;
    voxelManager: { getScalarData(): Uint8Array };
  }
  interface Pool {
    clearRequestStack(type: string): void;
  }
  interface Memo {
    restoreMemo(undo: boolean): void;
    id: string;
    operationType: string;
  }
  interface Cornerstone {
    Enums: { Events: Record<string, string>; RequestType: Record<string, string> };
    eventTarget: Listened;
    metaData: { get(type: 'imagePlaneModule', imageId: string): Plane };
    cache: { getImage(imageId: string): Image };
    imageLoadPoolManager: Pool;
    imageRetrievalPoolManager: Pool;
    utilities: { HistoryMemo: { DefaultHistoryMemo: { size: number; push(memo: Memo): void } } };
  }
  interface Tools {
    Enums: { Events: Record<string, string> };
    ToolGroupManager: { getToolGroup(id: string): ToolGroup | undefined };
    ReferenceCursors?: { toolName: string };
    addTool(tool: object): void;
    segmentation: {
      getLabelmapImageIds(id: string): string[];
      triggerSegmentationEvents: { triggerSegmentationDataModified(id: string): void };
    };
  }
}

/** What `h` takes: listeners, properties of the element, attributes. */
type Properties<Tag extends keyof HTMLElementTagNameMap> = {
  [name: `on${string}`]: (event: Event & { target: HTMLElementTagNameMap[Tag] }) => unknown;
  [name: string]: unknown;
};
type Child = Node | string | number | false | null | undefined;

interface Window {
  config: object;
  cornerstone: Ohif.Cornerstone;
  cornerstoneTools: Ohif.Tools;
}
