/** Tool groups, and the tools of the panel that edit the labelmap. */
import { run, services } from './ohif.js';

const RADIUS = { minRadius: 0.5, maxRadius: 50 };
/**
 * @param {string} toolName
 * @param {string} activeStrategy
 * @param {object} more
 */
const brush = (toolName, activeStrategy, more = {}) => ({
  toolName,
  parentTool: 'Brush',
  configuration: { activeStrategy, ...RADIUS, ...more },
});

/**
 * The panel's tools. `key` is the shortcut; `brush` says that the brush's size applies.
 */
export const TOOLS = [
  { id: 'CircularBrush', title: 'Brush', key: 'b', brush: true, hint: 'Paint the chosen label on this slice' },
  { id: 'SphereBrush', title: 'Ball', key: 'g', brush: true, hint: 'Paint the chosen label on this slice and its neighbours' },
  { id: 'CircularEraser', title: 'Eraser', key: 'e', brush: true, hint: 'Remove any label on this slice' },
  { id: 'ThresholdCircularBrushDynamic', title: 'Threshold', key: 't', brush: true, hint: 'Paint only what is as bright as where the stroke begins' },
  { id: 'CircleScissors', title: 'Circle', key: 'c', hint: 'Fill a circle drawn from its centre' },
  { id: 'RectangleScissors', title: 'Box', key: 'r', hint: 'Fill a rectangle' },
];

/** Tool of the panel's click refinement; a plain probe that draws nothing itself. */
export const LOOK = 'WindowLevel';

/**
 * Create OHIF's tool groups with navigation active and the labelmap tools at hand.
 *
 * @param {Pick<Ohif.Managers, 'extensionManager' | 'commandsManager'> & Pick<Ohif.Services, 'toolGroupService'>} managers
 */
export function createToolGroups({ toolGroupService, extensionManager, commandsManager }) {
  const { toolNames, Enums } = extensionManager.getModuleEntry('@ohif/extension-cornerstone.utilityModule.tools').exports;
  const { Primary, Auxiliary, Secondary, Wheel } = Enums.MouseBindings;
  const navigation = [
    { toolName: toolNames.WindowLevel, bindings: [{ mouseButton: Primary }] },
    { toolName: toolNames.Pan, bindings: [{ mouseButton: Auxiliary }] },
    { toolName: toolNames.Zoom, bindings: [{ mouseButton: Secondary }, { numTouchPoints: 2 }] },
    { toolName: toolNames.StackScroll, bindings: [{ mouseButton: Wheel }, { numTouchPoints: 3 }] },
  ];
  const editing = [
    brush('CircularBrush', 'FILL_INSIDE_CIRCLE'),
    brush('SphereBrush', 'FILL_INSIDE_SPHERE'),
    brush('CircularEraser', 'ERASE_INSIDE_CIRCLE'),
    brush('ThresholdCircularBrushDynamic', 'THRESHOLD_INSIDE_CIRCLE', { threshold: { isDynamic: true, dynamicRadius: 3 } }),
    { toolName: toolNames.CircleScissors },
    { toolName: toolNames.RectangleScissors },
    { toolName: toolNames.Magnify },
    { toolName: toolNames.WindowLevelRegion },
  ];
  const withLabels = commandsManager.run('initializeSegmentLabelTool', {
    tools: { active: navigation, passive: editing, disabled: [{ toolName: toolNames.ReferenceLines }] },
  });
  toolGroupService.createToolGroupAndAddTools('default', withLabels);
  toolGroupService.createToolGroupAndAddTools('volume3d', {
    active: [
      { toolName: toolNames.TrackballRotateTool, bindings: [{ mouseButton: Primary }] },
      { toolName: toolNames.Zoom, bindings: [{ mouseButton: Secondary }, { numTouchPoints: 2 }] },
      { toolName: toolNames.Pan, bindings: [{ mouseButton: Auxiliary }] },
    ],
  });
}

/**
 * Give the left mouse button to a tool, in OHIF's toolbar too.
 *
 * @param {string} toolName
 */
export function activate(toolName) {
  run('setToolActive', { toolName, toolGroupId: 'default' });
  services().toolbarService.refreshToolbarState({ viewportId: services().viewportGridService.getActiveViewportId() });
}

/**
 * Radius of all brushes, in millimetres.
 *
 * @param {number} radius
 */
export function setBrushSize(radius) {
  run('setBrushSize', { value: radius });
}
