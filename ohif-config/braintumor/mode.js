/** Our OHIF mode, route `/ohif/braintumor`: four sequences, tools that edit a labelmap, the panel on the right. */
import { ID as PROTOCOL } from './hanging.js';
import { bindings } from './keys.js';
import { dropRequests, isAlone, openStudy, studiesInUrl } from './ohif.js';
import { known, load } from './sequences.js';
import { keepNow } from './session.js';
import { createToolGroups } from './tools.js';

const STACK = '@ohif/extension-default.sopClassHandlerModule.stack';
const PDF = '@ohif/extension-dicom-pdf.sopClassHandlerModule.dicom-pdf';
const SEG = '@ohif/extension-cornerstone-dicom-seg.sopClassHandlerModule.dicom-seg';

/** A follow-up opens beside its newest prior. The hanging protocol is chosen by the address, so the page is loaded again. */
async function withPrior() {
  const [study, prior] = studiesInUrl();
  const [newest] = known(study)?.answer?.priors ?? [];
  if (newest && !prior && !isAlone()) {
    openStudy(study, [newest.uid], { replace: true });
    await new Promise(() => {}); // nothing more is to be drawn on this page
  }
}

const layout = {
  id: '@ohif/extension-default.layoutTemplateModule.viewerLayout',
  props: {
    leftPanels: ['@ohif/extension-default.panelModule.seriesList'],
    leftPanelClosed: true,
    leftPanelResizable: true,
    rightPanels: ['@braintumor/extension.panelModule.tumour'],
    rightPanelResizable: true,
    rightPanelInitialExpandedWidth: 320,
    viewports: [
      { namespace: '@ohif/extension-cornerstone.viewportModule.cornerstone', displaySetsToDisplay: [STACK] },
      { namespace: '@ohif/extension-cornerstone-dicom-seg.viewportModule.dicom-seg', displaySetsToDisplay: [SEG] },
      { namespace: '@ohif/extension-dicom-pdf.viewportModule.dicom-pdf', displaySetsToDisplay: [PDF] },
    ],
  },
};

const modeInstance = {
  id: '@braintumor/mode',
  routeName: 'braintumor',
  displayName: 'Brain tumour',
  // Only OHIF's own ids here: another one would be fetched as a module and fail.
  extensions: {
    '@ohif/extension-default': '^3.0.0',
    '@ohif/extension-cornerstone': '^3.0.0',
    '@ohif/extension-cornerstone-dicom-seg': '^3.0.0',
    '@ohif/extension-dicom-pdf': '^3.0.0', // the report, once it is stored in the archive
  },
  hangingProtocol: PROTOCOL,
  sopClassHandlers: [STACK, PDF, SEG],
  modeCustomizations: { 'ohif.hotkeyBindings': { $set: bindings } },
  toolbarButtons: [{ $reference: 'cornerstone.toolbarButtons' }],
  toolbarSections: [{ $reference: 'cornerstone.segmentationModeToolbarSections' }],

  /** @param {{modalities: string}} study */
  isValidMode: ({ modalities }) => {
    const valid = String(modalities).split('\\').includes('MR');
    return { valid, description: valid ? 'MR study' : 'Needs an MR study' };
  },

  routes: [
    {
      path: 'braintumor',
      layoutTemplate: () => structuredClone(layout),
      // Awaited by OHIF before the hanging protocol runs.
      /** @param {{studyInstanceUIDs: string[]}} asked */
      init: async ({ studyInstanceUIDs }) => {
        await load(studyInstanceUIDs);
        await withPrior();
      },
    },
  ],

  /** @param {Ohif.Managers} managers */
  onModeEnter({ servicesManager, commandsManager, extensionManager }) {
    const { toolbarService, toolGroupService, customizationService, measurementService } = servicesManager.services;
    measurementService.clearMeasurements();
    createToolGroups({ toolGroupService, extensionManager, commandsManager });
    toolbarService.register(customizationService.getCustomization('toolbarButtons'));
    for (const sections of [customizationService.getCustomization('toolbarSections')].flat()) {
      Object.entries(sections).forEach(([name, buttons]) => toolbarService.updateSection(name, buttons));
    }
  },

  /** @param {Ohif.Managers} managers */
  onModeExit({ servicesManager }) {
    const { toolGroupService, syncGroupService, segmentationService, cornerstoneViewportService, uiDialogService, uiModalService } =
      servicesManager.services;
    keepNow();
    uiDialogService.hideAll();
    uiModalService.hide();
    dropRequests();
    toolGroupService.destroy();
    syncGroupService.destroy();
    segmentationService.destroy();
    cornerstoneViewportService.destroy();
  },
};

export default { id: modeInstance.id, modeFactory: () => modeInstance, extensionDependencies: modeInstance.extensions };
