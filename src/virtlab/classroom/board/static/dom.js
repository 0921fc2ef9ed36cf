// Elements in one expression. Text is always text: what students say never becomes HTML.
export function el(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

// A raised arm, drawn: not every machine has a font with one.
export function handUp() {
  const names = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(names, "svg");
  const line = document.createElementNS(names, "path");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  line.setAttribute("d", "M13 9.5a3 3 0 1 0 0-.1M5 3v8q0 4 5 4h6q3 0 3 3v3M10 15v6");
  picture.append(line);
  return picture;
}
