// Make an element. The service's texts become text nodes, never markup.
export function make(tag, properties = {}, ...children) {
  const { data, aria, role, ...own } = properties;
  const element = Object.assign(document.createElement(tag), own);
  if (role) element.setAttribute("role", role);
  for (const [name, value] of Object.entries(data ?? {})) element.dataset[name] = value;
  for (const [name, value] of Object.entries(aria ?? {})) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Return how the page may scroll. A visitor can change the preference while the page is open.
export const scrolling = () =>
  matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
