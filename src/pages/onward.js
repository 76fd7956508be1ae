// What stands behind the "#" of an address never reaches a server. Before a sign-in it is laid down in this tab, so that
// no page on the way gets to see it; afterwards it is put back behind the address it came with.
(function () {
  "use strict";
  var main = document.querySelector("main[data-target]");
  if (!main) return;
  var key = "lychgate-fragment";
  var target = main.getAttribute("data-target"), leaving = main.getAttribute("data-leaving");
  if (new URL(target, location.href).origin !== location.origin) return;
  try {
    if (leaving) {
      sessionStorage.removeItem(key);
      if (location.hash.length > 1 && location.hash.length <= 4096) sessionStorage.setItem(key, target + location.hash);
    } else {
      var kept = sessionStorage.getItem(key);
      sessionStorage.removeItem(key);
      if (kept && kept.indexOf(target + "#") === 0) target = kept;
    }
  } catch (ignored) {
    // A browser that stores nothing goes on without it.
  }
  location.replace(leaving || target);
})();
