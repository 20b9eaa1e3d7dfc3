// Notes when the study of the address bar is first on the screen: a rendered view of its images that is not black.
// Looks only after Cornerstone has drawn, and at 16 x 16 pixels, so that looking takes no time from drawing.
window.begin = () => Object.assign(window, { firstImage: 0, begun: performance.now() });
Object.assign(window, { firstImage: 0, begun: 0 });

const small = Object.assign(document.createElement('canvas'), { width: 16, height: 16 });
const BRIGHT = 60;
const ENOUGH = 40; // of 256

function isOf(study, element) {
  const view = window.cornerstone?.getEnabledElement(element)?.viewport;
  const [volume] = view?.getAllVolumeIds?.() ?? [];
  const image = volume ? window.cornerstone.cache.getVolume(volume)?.imageIds[0] : view?.getCurrentImageId?.();
  return Boolean(study && image?.includes(study));
}

document.addEventListener(
  'CORNERSTONE_IMAGE_RENDERED',
  ({ target }) => {
    const canvas = target.querySelector?.('canvas.cornerstone-canvas');
    const study = new URLSearchParams(window.location.search).get('StudyInstanceUIDs');
    if (window.firstImage || !canvas?.width || !isOf(study, target)) {
      return;
    }
    const { width, height } = canvas;
    const pixels = small.getContext('2d', { willReadFrequently: true });
    pixels.drawImage(canvas, 0.3 * width, 0.3 * height, 0.4 * width, 0.4 * height, 0, 0, 16, 16);
    const { data } = pixels.getImageData(0, 0, 16, 16);
    if (data.filter((value, n) => n % 4 === 0 && value > BRIGHT).length > ENOUGH) {
      window.firstImage = performance.now() - window.begun;
    }
  },
  true
);
