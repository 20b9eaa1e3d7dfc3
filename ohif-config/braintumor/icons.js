/** The panel's own icons: 20 x 20 line drawings in the colour of the text. */
import { s } from './dom.js';

/** @type {Record<string, string>} */
const PATHS = {
  CircularBrush: 'M4 16c2 0 3-1 3-3 0-1.5 2.5-2 3.5-.8s.3 3.4-1.7 4.2C7.600 17 5.500 17 4 16zM10.500 11.500 16 4l1 .8-5 7.600',
  SphereBrush: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 10c0 2 3 3 7 3s7-1 7-3M10 3c-2 0-3 3-3 7s1 7 3 7',
  CircularEraser: 'M8 16h9M4 12l7-7 5 5-6 6H7.500L4 12.500zM7.500 8.500l5 5',
  ThresholdCircularBrushDynamic: 'M3 17V9h3v8M8.500 17V4h3v13M14 17v-6h3v6M2 8h16',
  CircleScissors: 'M10 3.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM10 9.500v1M9.500 10h1',
  RectangleScissors: 'M3.500 5h13v10h-13z',
  Interpolate: 'M4 4h12M4 16h12M6 7.500h8M6 10h8M6 12.500h8',
  Visible: 'M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5zM10 7.8a2.2 2.2 0 1 0 0 4.400 2.200 2.200 0 0 0 0-4.400z',
  Hidden: 'M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5zM4 16 16 4',
  Refine: 'M10 2v4M10 14v4M2 10h4M14 10h4M10 9v2M9 10h2',
};

/**
 * An icon by name.
 *
 * @param {string} name
 */
export function icon(name) {
  const path = s('path', { d: PATHS[name], fill: 'none', stroke: 'currentColor', 'stroke-width': '1.4', 'stroke-linecap': 'round', 'stroke-linejoin': 'round' });
  return s('svg', { viewBox: '0 0 20 20', width: '18', height: '18', 'aria-hidden': 'true' }, path);
}
