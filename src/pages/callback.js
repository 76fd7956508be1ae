// ORCID may put an error behind the "#" of our callback address, where no server sees it
// (orcid.md 2.3). Ask the same address again with the error's name in the query: letters and
// underscores only, and only if the address is a callback of ours.
(function () {
  "use strict";
  var main = document.querySelector("main[data-callback]");
  var prefix = main && main.getAttribute("data-callback");
  var path = location.pathname;
  if (!prefix || path.indexOf(prefix) !== 0 || !/^[a-z0-9-]{1,32}$/.test(path.slice(prefix.length))) return;
  var hash = location.hash.slice(1);
  var found = /(?:^|&)error=([a-z_]{1,40})(?:%20|\+)*(?:&|$)/.exec(hash) || /^([a-z_]{1,40})$/.exec(hash);
  if (found) location.replace(path + "?error=" + found[1]);
})();
