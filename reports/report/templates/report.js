// Tooltips of cells: one box, shown on hover, focus and tap, kept inside the window. Without this
// script the cells' titles do the same for a mouse.
const tip = document.getElementById("tip");
const show = (cell) => {
  tip.textContent = cell.dataset.tip;
  tip.hidden = false;
  const at = cell.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), innerWidth - tip.offsetWidth - 8);
  const below = at.bottom + 6;
  const fits = below + tip.offsetHeight <= innerHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${fits ? below : Math.max(8, at.top - tip.offsetHeight - 6)}px`;
};
const hide = () => { tip.hidden = true; };
for (const cell of document.querySelectorAll("[data-tip]")) {
  cell.removeAttribute("title");
  cell.tabIndex = 0;
  cell.setAttribute("aria-describedby", "tip");
  cell.addEventListener("mouseenter", () => show(cell));
  cell.addEventListener("focus", () => show(cell));
  cell.addEventListener("click", () => show(cell));
  cell.addEventListener("mouseleave", hide);
  cell.addEventListener("blur", hide);
}
addEventListener("scroll", hide, { passive: true, capture: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

// Films play unless the reader asked for less motion, and only while they are on the screen.
const films = Array.from(document.querySelectorAll("video"));
const toggle = document.getElementById("play");
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
const seen = new Set();
const update = () => {
  for (const film of films) {
    if (playing && seen.has(film)) film.play().catch(() => {}); else film.pause();
  }
  if (toggle) toggle.textContent = playing ? "Pause films" : "Play films";
};
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => { playing = !playing; update(); });
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) seen.add(entry.target); else seen.delete(entry.target);
    }
    update();
  });
  for (const film of films) watch.observe(film);
  update();
}
