// Elements from data. Text only ever goes in as text: nothing here parses markup.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null && child !== ""));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Writing the same text again would make screen readers speak it again and cost a layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// A mouse acts when it is pressed: between press and release a row may have moved. Fingers and
// the keyboard act on click, since a finger that scrolls presses too.
export function onPress(node, act) {
  let byMouse = false;
  node.addEventListener("pointerdown", (event) => {
    byMouse = event.pointerType === "mouse" && event.button === 0;
    if (byMouse && !node.disabled) act(event);
  });
  node.addEventListener("click", (event) => {
    if (!byMouse || event.detail === 0) act(event);
    byMouse = false;
  });
}

// Brings the children of a list in the order of `keys`, making and removing as few as possible.
export function keyed(list, keys, make) {
  const known = new Map([...list.children].map((node) => [node.dataset.key, node]));
  keys.forEach((key, index) => {
    let node = known.get(key);
    known.delete(key);
    if (!node) {
      node = make(key);
      node.dataset.key = key;
    }
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  for (const node of known.values()) node.remove();
}
