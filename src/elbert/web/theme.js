"use strict";
/* Light or dark: the system's choice until somebody presses the button #theme; kept where the browser keeps things. */
(() => {
  const KEY = "elbert-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // pages from disk, or with storage switched off
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // the choice holds for this page
    }
  }

  function tell() {
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use ${dark() ? "light" : "dark"} colours`);
  }

  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
  system.addEventListener("change", tell);
  document.addEventListener("DOMContentLoaded", () => {
    tell();
    document.getElementById("theme")?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      remember(root.dataset.theme);
      tell();
    });
  });
})();
