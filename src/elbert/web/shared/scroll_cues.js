/* Tables that are wider than the screen say that they scroll: the class "overflows" puts a line below them. */
(() => {
  const seen = new WeakSet();
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const holder = target.closest(".scroll"); // none where a table has been replaced by another
      holder?.classList.toggle("overflows", holder.scrollWidth > holder.clientWidth + 1);
    }
  });

  function watch() {
    for (const holder of document.querySelectorAll(".scroll")) {
      for (const part of [holder, ...holder.children]) {
        if (!seen.has(part)) resized.observe(part);
        seen.add(part);
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    watch();
    new MutationObserver(watch).observe(document.body, { childList: true, subtree: true });
  });
})();
