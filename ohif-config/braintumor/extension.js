/** Our OHIF extension: panel, hanging protocol, and the series attribute `mrSequence` that our classifier answers. */
import { ID as PROTOCOL, protocol } from './hanging.js';
import { commands } from './keys.js';
import { remember, studiesInUrl } from './ohif.js';
import { sequenceOf, titleOf } from './sequences.js';
import { TAG } from './panel.js';

export const ID = '@braintumor/extension';

/**
 * What React makes of JSX; React itself is not exposed to modules that are loaded at run time.
 *
 * @param {string} type
 * @param {object} props
 */
const element = (type, props = {}) => ({
  $$typeof: Symbol.for('react.element'),
  type,
  key: null,
  ref: null,
  props,
  _owner: null,
  _store: {},
});

export default {
  id: ID,

  /** @param {Ohif.Managers} managers */
  preRegistration(managers) {
    remember(managers);
    const { hangingProtocolService } = managers.servicesManager.services;
    hangingProtocolService.addCustomAttribute('mrSequence', 'MR sequence by our classifier', sequenceOf);
  },

  getPanelModule() {
    return [
      {
        name: 'tumour',
        iconName: 'tab-segmentation',
        iconLabel: 'Tumour',
        label: 'Brain tumour',
        component: () => element(TAG, { style: { display: 'block', flex: '1 1 0', minHeight: 0 } }),
      },
    ];
  },

  getHangingProtocolModule() {
    return [{ name: PROTOCOL, protocol: protocol({ withPrior: studiesInUrl().length > 1 }) }];
  },

  getCommandsModule() {
    return { definitions: commands, defaultContext: 'DEFAULT' };
  },

  getCustomizationModule() {
    return [
      {
        name: 'default',
        value: {
          'viewportOverlay.topLeft': [
            {
              id: 'braintumor.sequence',
              inheritsFrom: 'ohif.overlayItem',
              /** @param {{displaySets?: Ohif.DisplaySet[], viewportData?: {data?: Ohif.DisplaySet[]}}} shown */
              contentF: ({ displaySets, viewportData }) => titleOf(displaySets?.[0] ?? viewportData?.data?.[0]),
            },
          ],
        },
      },
    ];
  },
};
