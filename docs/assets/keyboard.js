/* What scrolls sideways can be reached with the Tab key, so that arrow keys scroll it. */
addEventListener("load", () => setTimeout(() => {
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}));

/* The theme's search is a dialogue without a name, which a screen reader would announce as nothing. */
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
