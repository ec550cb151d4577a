// Draw the picture of a title from its id, because there are no images. An id always gets the same
// picture.
const KINDS = 6;

export function paint(element, id) {
  const digits = id.replaceAll("-", "");
  const number = (from, to) => Number.parseInt(digits.slice(from, to), 16) || 0;
  const hue = number(0, 4) % 360;
  element.classList.add("art");
  element.dataset.art = String(number(4, 6) % KINDS);
  element.style.setProperty("--hue", String(hue));
  element.style.setProperty("--other", String((hue + 35 + (number(6, 8) % 110)) % 360));
  element.style.setProperty("--x", `${12 + (number(8, 10) % 76)}%`);
  element.style.setProperty("--y", `${15 + (number(10, 12) % 50)}%`);
  element.style.setProperty("--turn", `${number(20, 22) % 180}deg`);
}
