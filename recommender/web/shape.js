// What is a section to this page: 130 heights, how they bend under a drag, and what can be measured without asking?
// Heights are in chords: 65 upper then 65 lower, nose first, at STATIONS. Knows of no page and no server.

export const SIDE = 65;
export const STATIONS = Array.from({ length: SIDE }, (_, i) => (1 - Math.cos((Math.PI * i) / (SIDE - 1))) / 2);

const STATION_OF_HANDLE = [8, 19, 31, 43, 55];
const REACH = 8; // stations; neighbouring control points are 12 apart, so a drag of one hardly moves the next
const GAP_MIN = 0.001;

export const HANDLES = [true, false].flatMap((upper) =>
  STATION_OF_HANDLE.map((station) => ({ upper, station, x: STATIONS[station], index: station + (upper ? 0 : SIDE) })));

export function isShape(heights) {
  return Array.isArray(heights) && heights.length === 2 * SIDE && heights.every((y) => Number.isFinite(y) && Math.abs(y) < 1);
}

// Moves one surface under the handle by dy, with a smooth bump; stops where the surfaces would touch.
export function bend(heights, handle, dy) {
  const own = handle.upper ? 0 : SIDE;
  const weight = STATIONS.map((_, i) => bump(i, handle.station));
  const inward = handle.upper ? -1 : 1;
  let reach = Math.max(0, dy * inward);
  weight.forEach((w, i) => {
    const gap = heights[i] - heights[SIDE + i];
    if (w > 1e-3 && i > 0 && i < SIDE - 1) reach = Math.min(reach, Math.max(0, gap - GAP_MIN) / w);
  });
  const step = dy * inward > 0 ? reach * inward : dy;
  const bent = heights.slice();
  weight.forEach((w, i) => { bent[own + i] += step * w; });
  return bent;
}

function bump(station, centre) {
  const taper = Math.sin((Math.PI * station) / (SIDE - 1)) / Math.sin((Math.PI * centre) / (SIDE - 1));
  return Math.exp(-(((station - centre) / REACH) ** 2)) * taper;
}

export function along(heights, component, amount) {
  return heights.map((y, i) => y + amount * component[i]);
}

export function between(from, to, share) {
  return from.map((y, i) => y + share * (to[i] - y));
}

// Selig order: trailing edge, upper surface, nose, lower surface, trailing edge.
export function outline(heights) {
  const upper = STATIONS.map((x, i) => [x, heights[i]]).reverse();
  const lower = STATIONS.map((x, i) => [x, heights[SIDE + i]]).slice(1);
  return [...upper, ...lower];
}

export function sameShape(a, b) {
  return a.every((y, i) => Math.abs(y - b[i]) < 1e-9);
}

// What is sent and kept: a millionth of chord is far below what the eye, the encoder and a mould can tell.
export function rounded(heights) {
  return heights.map((y) => Math.round(y * 1e6) / 1e6);
}

// NACA report 460: the four-digit family, with a closed trailing edge; what is drawn until something else is.
export function naca(camber, at, thickness) {
  const half = STATIONS.map((x) => 5 * thickness
    * (0.2969 * Math.sqrt(x) - 0.126 * x - 0.3516 * x ** 2 + 0.2843 * x ** 3 - 0.1036 * x ** 4));
  const mean = STATIONS.map((x) => (x < at
    ? (camber / at ** 2) * (2 * at * x - x ** 2)
    : (camber / (1 - at) ** 2) * (1 - 2 * at + 2 * at * x - x ** 2)));
  return [...half.map((t, i) => mean[i] + t), ...half.map((t, i) => mean[i] - t)];
}
