/**
 * OHIF's configuration: one DICOMweb source on our own origin, our extension and mode loaded at run time, and nothing that
 * calls out. Served as /ohif/app-config.js.
 */
const lost = () => window.dispatchEvent(new Event('braintumor:lost'));

// OHIF says "something went wrong" of every image that does not come, in a message that stays and covers Submit. This file runs
// before OHIF's listeners are there; the panel says it instead (images.js).
window.addEventListener('unhandledrejection', event => {
  if (event.reason instanceof XMLHttpRequest) {
    event.preventDefault();
    event.stopImmediatePropagation();
    lost();
  }
});

window.config = {
  name: 'braintumor',
  routerBasename: '/ohif/',
  extensions: ['/ohif/braintumor/extension.js'],
  modes: ['/ohif/braintumor/mode.js'],
  modesConfiguration: {},
  showStudyList: true,
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  groupEnabledModesFirst: true,
  useSharedArrayBuffer: 'FALSE',
  showErrorDetails: 'production',
  // The panel says "research use" itself, at the place where the numbers are.
  investigationalUseDialog: { option: 'never' },
  disableConfirmationPrompts: false,
  httpErrorHandler: lost, // without one, OHIF fails on a lost image with an error of its own
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  studyPrefetcher: { enabled: false },
  defaultDataSourceName: 'braintumor',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'braintumor',
      configuration: {
        friendlyName: 'Brain tumour studies',
        name: 'braintumor',
        wadoUriRoot: '/dicom-web',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        stowRoot: '/dicom-web',
        qidoSupportsIncludeField: false,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        supportsReject: false,
        supportsStow: true,
        dicomUploadEnabled: false,
        singlepart: 'bulkdata,video,pdf',
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
};
