// How are elements made and numbers written? Text goes in as text only: names come from files that strangers wrote.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function html(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(text, onclick, attributes = {}) {
  return html("button", { type: "button", onclick, ...attributes }, text);
}

export function path(points, x, y) {
  return points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(2)} ${y(p[1]).toFixed(2)}`).join("");
}

const MINUS = "−";

export function number(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toFixed(digits).replace("-", Number(value.toFixed(digits)) === 0 ? "" : MINUS);
}

export function signed(value, digits) {
  if (value === null || value === undefined) return "–";
  return (Number(value.toFixed(digits)) > 0 ? "+" : "") + number(value, digits);
}

export function reynoldsText(reynolds) {
  return `Re ${number(reynolds / 1e6, reynolds < 1e6 ? 2 : 1)} × 10⁶`;
}

export function airText(nCrit) {
  const kinds = [[11, "very clean air"], [8, "clean air"], [6, "slightly turbulent air"], [0, "turbulent air"]];
  const [, kind] = kinds.find(([least]) => nCrit >= least);
  return `${kind} (n_crit ${nCrit})`;
}
