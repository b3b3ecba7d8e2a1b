/* Light or dark: the system's choice until the reader presses the button #theme; the browser stores the choice. */
(() => {
  const KEY = "elbert-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function readTheme() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // pages from disk, or with storage switched off
    }
  }

  function storeTheme(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // the choice holds for this page
    }
  }

  function updateButton() {
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use ${dark() ? "light" : "dark"} colours`);
  }

  if (["light", "dark"].includes(readTheme())) root.dataset.theme = readTheme();
  system.addEventListener("change", updateButton);
  document.addEventListener("DOMContentLoaded", () => {
    updateButton();
    document.getElementById("theme")?.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      storeTheme(root.dataset.theme);
      updateButton();
    });
  });
})();
