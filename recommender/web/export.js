// How is a section written for other programs: Selig .dat, SVG and DXF? Lengths are in mm, but a .dat file has chord 1.

import { outline } from "./shape.js";

export function dat(name, heights) {
  const rows = outline(heights).map(([x, y]) => `${x.toFixed(6)} ${y < 0 ? "" : " "}${y.toFixed(6)}`);
  return `${oneLine(name) || "section"}\n${rows.join("\n")}\n`;
}

export function svgFile(name, heights, chord) {
  const points = outline(heights).map(([x, y]) => [x * chord, -y * chord]);
  const top = Math.min(...points.map((p) => p[1]));
  const height = Math.max(...points.map((p) => p[1])) - top;
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(4)} ${(y - top).toFixed(4)}`).join("");
  const title = oneLine(name).replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
  const high = height.toFixed(4);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${chord}mm" height="${high}mm" viewBox="0 0 ${chord} ${high}">`
    + `<title>${title}</title><path d="${d}Z" fill="none" stroke="#000" stroke-width="${chord / 1000}"/></svg>\n`;
}

// AutoCAD 2000 wants all of these tables, blocks and the dictionary before it opens an LWPOLYLINE.
export function dxf(name, heights, chord) {
  const points = outline(heights).flatMap(([x, y]) => [10, (x * chord).toFixed(6), 20, (y * chord).toFixed(6)]);
  const layer = oneLine(name).replace(/[^\w \-.]/g, "_").slice(0, 60) || "section";
  const codes = [
    ...section("HEADER", [9, "$ACADVER", 1, "AC1015", 9, "$HANDSEED", 5, "FFFF",
      9, "$INSUNITS", 70, 4, 9, "$MEASUREMENT", 70, 1]),
    ...section("TABLES", tables(layer)),
    ...section("BLOCKS", [...block("*Model_Space", "1F"), ...block("*Paper_Space", "1B")]),
    ...section("ENTITIES", [0, "LWPOLYLINE", 5, "100", 330, "1F", 100, "AcDbEntity", 8, layer,
      100, "AcDbPolyline", 90, points.length / 4, 70, 1, 43, 0, ...points]),
    ...section("OBJECTS", [0, "DICTIONARY", 5, "C", 330, "0", 100, "AcDbDictionary", 281, 1, 3, "ACAD_GROUP", 350, "D",
      0, "DICTIONARY", 5, "D", 330, "C", 100, "AcDbDictionary", 281, 1]),
    0, "EOF",
  ];
  return codes.map((code) => `${code}\n`).join("");
}

const section = (name, codes) => [0, "SECTION", 2, name, ...codes, 0, "ENDSEC"];

function tables(layer) {
  const head = (kind, handle, owner, type, name) =>
    [0, kind, kind === "DIMSTYLE" ? 105 : 5, handle, 330, owner,
      100, "AcDbSymbolTableRecord", 100, `AcDb${type}TableRecord`, 2, name];
  const record = (...named) => [...head(...named), 70, 0];
  const linetype = (handle, name) => [...record("LTYPE", handle, "5", "Linetype", name), 3, "", 72, 65, 73, 0, 40, 0];
  const level = (handle, name) => [...record("LAYER", handle, "2", "Layer", name), 62, 7, 6, "CONTINUOUS", 370, -3];
  const space = (handle, name) => head("BLOCK_RECORD", handle, "1", "Block", name);
  const text = [...record("STYLE", "11", "3", "TextStyle", "STANDARD"), 40, 0, 41, 1, 50, 0, 71, 0, 42, 2.5, 3, "txt", 4, ""];
  const measure = record("DIMSTYLE", "27", "A", "DimStyle", "STANDARD");
  return [
    ...table("VPORT", "8", []),
    ...table("LTYPE", "5", [linetype("14", "BYBLOCK"), linetype("15", "BYLAYER"), linetype("16", "CONTINUOUS")]),
    ...table("LAYER", "2", layer === "0" ? [level("10", "0")] : [level("10", "0"), level("17", layer)]),
    ...table("STYLE", "3", [text]),
    ...table("VIEW", "6", []),
    ...table("UCS", "7", []),
    ...table("APPID", "9", [record("APPID", "12", "9", "RegApp", "ACAD")]),
    ...table("DIMSTYLE", "A", [measure], [100, "AcDbDimStyleTable", 71, 0]),
    ...table("BLOCK_RECORD", "1", [space("1F", "*Model_Space"), space("1B", "*Paper_Space")]),
  ];
}

function table(name, handle, records, more = []) {
  const head = [0, "TABLE", 2, name, 5, handle, 330, 0, 100, "AcDbSymbolTable", 70, records.length];
  return [...head, ...more, ...records.flat(), 0, "ENDTAB"];
}

function block(name, owner) {
  const paper = name === "*Paper_Space" ? [67, 1] : [];
  const end = (kind, after, type) => {
    const handle = (Number.parseInt(owner, 16) + after).toString(16).toUpperCase();
    return [0, kind, 5, handle, 330, owner, 100, "AcDbEntity", ...paper, 8, "0", 100, type];
  };
  const begin = [...end("BLOCK", 1, "AcDbBlockBegin"), 2, name, 70, 0, 10, 0, 20, 0, 30, 0, 3, name, 1, ""];
  return [...begin, ...end("ENDBLK", 2, "AcDbBlockEnd")];
}

function oneLine(name) {
  return name.replace(/[\p{Cc}\s]+/gu, " ").trim();
}
