// Contrast (WCAG 2.2) of some texts of the report with the nearest painted background; runs in the page.
(() => {
  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if ((channels(backgroundColor)[3] ?? 1) > 0.5) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const selectors = [
    ".verdict",
    ".context",
    "em.good",
    "em.bad",
    ".tile .note",
    "figcaption p",
    ".facets button",
    "thead th",
    ".ok",
    ".warn",
    ".chip",
    ".question h3",
  ];
  return selectors.flatMap((selector) => {
    const visible = [...document.querySelectorAll(selector)].find((e) => e.getClientRects().length);
    if (!visible) return [];
    const [a, b] = [getComputedStyle(visible).color, behind(visible)].map(luminance);
    return [[selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]];
  });
})();
