// For pages that stay open: says before the session ends, and offers to renew it in another window, so that nothing on
// this page is lost. It only asks, and asking is no use of the session: whoever has left is still signed out in time.
(function () {
  "use strict";
  var own = document.currentScript || document.querySelector("script[src$='/.lychgate/assets/session.js']");
  if (!own || !window.fetch) return;
  var TEXTS = "texts of every language";
  var WATCHED = 15, SELDOM = 300, UNKNOWN = 60;
  var warn = Math.max(30, parseInt(own.getAttribute("data-warn"), 10) || 300);
  var language = [own.lang, document.documentElement.lang, navigator.language]
    .map(function (tag) { return (tag || "").toLowerCase().split("-")[0]; })
    .concat("en").find(function (tag) { return Object.prototype.hasOwnProperty.call(TEXTS, tag); });
  var whose = null, shown = null, hidden = null, asking = false, timer = 0, before = null;
  var box, title, words, link, hide;

  function text(key, values) {
    var given = own.getAttribute("data-text-" + key);
    return (given === null ? TEXTS[language][key] : given).replace(/\{(\w+)\}/g, function (all, name) {
      return values && Object.prototype.hasOwnProperty.call(values, name) ? values[name] : all;
    });
  }

  // What the new window opens: this page, or the one the app names, but never one of another origin. Opening a page
  // that asks for a sign-in is use of a session that lives, and leads through the sign-in where none does.
  function onward() {
    var to = new URL(own.getAttribute("data-renew") || location.href, location.href);
    if (to.origin !== location.origin) to = new URL(location.href);
    return to.pathname + to.search;
  }

  function later(seconds) {
    clearTimeout(timer);
    timer = setTimeout(ask, seconds * 1000);
  }

  function ask() {
    if (asking) return;
    asking = true;
    fetch("/.lychgate/me", { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        if (answer.status === 401) return answer.text().then(function () { return null; });
        if (!answer.ok) throw new Error(answer.status);
        return answer.json();
      })
      // A gate that cannot be reached says nothing about the session.
      .then(judge, function () { later(UNKNOWN); })
      .then(function () { asking = false; });
  }

  function judge(me) {
    if (!me) {
      // A guest has nothing to lose. Signing in is noticed when the window is looked at again.
      if (whose === null) return;
      show("ended", text("ended"), text("ended-text"), text("again"));
      return later(WATCHED);
    }
    if (whose === null) whose = me.id;
    if (me.id !== whose) {
      show("another", text("another"), text("another-text", { name: me.name || me.id }), null);
      return later(UNKNOWN);
    }
    var left = me.idle_expires - me.now;
    if (left > warn) {
      show(null);
      return later(Math.min(left - warn, SELDOM));
    }
    var end = new Date(Date.now() + left * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    // The end of all ends cannot be put off by using the session.
    var last = me.idle_expires >= me.expires;
    show(last ? "last" : "soon", text("soon"), text(last ? "last" : "ends", { time: end }), last ? null : text("renew"));
    later(Math.min(Math.max(left, 0) + 1, WATCHED));
  }

  function show(kind, heading, message, label) {
    if (kind !== hidden) hidden = null;
    if (kind === null || kind === hidden) return close(kind);
    if (kind === shown && words.textContent === message) return;
    if (!box) make();
    shown = kind;
    link.hidden = !label;
    if (label) {
      link.textContent = label;
      link.href = onward();
    }
    box.hidden = false;
    if (box.showPopover && !box.matches(":popover-open")) box.showPopover();
    // Into what is there already: that is what screen readers announce.
    title.textContent = heading;
    words.textContent = message;
  }

  function close(kind) {
    shown = kind;
    if (!box || box.hidden) return;
    var held = box.contains(document.activeElement);
    if (box.hidePopover && box.matches(":popover-open")) box.hidePopover();
    box.hidden = true;
    title.textContent = words.textContent = "";
    if (held && before && before.isConnected) before.focus();
  }

  function put(tag, into, classes) {
    var element = document.createElement(tag);
    if (classes) element.className = classes;
    return into.appendChild(element);
  }

  // Takes no focus, for somebody may be typing; stands first in the page, where the keyboard finds it.
  function make() {
    box = document.createElement("div");
    box.className = "lychgate-session";
    box.lang = language;
    box.dir = language === "ar" ? "rtl" : "ltr";
    box.setAttribute("role", "region");
    box.setAttribute("aria-labelledby", "lychgate-session-title");
    box.setAttribute("popover", "manual");
    box.hidden = true;
    var live = put("div", box);
    live.setAttribute("role", "alert");
    title = put("strong", live);
    title.id = "lychgate-session-title";
    words = put("p", live);
    link = put("a", box, "lychgate-session-renew");
    link.target = "_blank";
    link.rel = "noopener";
    hide = put("button", box, "lychgate-session-hide");
    hide.type = "button";
    hide.textContent = text("hide");
    function away() {
      hidden = shown;
      close(shown);
    }
    hide.addEventListener("click", away);
    box.addEventListener("keydown", function (event) { if (event.key === "Escape") away(); });
    box.addEventListener("focusin", function (event) {
      if (event.relatedTarget && !box.contains(event.relatedTarget)) before = event.relatedTarget;
    });
    dress();
    document.body.insertBefore(box, document.body.firstChild);
  }

  // Rules without weight: whatever the app's own style sheet says of these classes stands above them.
  function dress() {
    if (!("adoptedStyleSheets" in document)) return;
    var sheet = new CSSStyleSheet();
    sheet.replaceSync(
      ":where(.lychgate-session:not([hidden])){display:block;position:fixed;inset:1rem 1rem auto;margin:0 auto;box-sizing:border-box;" +
      "width:fit-content;max-width:min(36rem,100% - 2rem);max-height:calc(100% - 2rem);overflow:auto;padding:1rem;" +
      "border:2px solid;border-radius:.5rem;background:Canvas;color:CanvasText;font:1rem/1.5 system-ui,sans-serif;z-index:2147483647}" +
      ":where(.lychgate-session p){margin:.5rem 0 .75rem}" +
      ":where(.lychgate-session a:not([hidden]),.lychgate-session button){display:inline-block;margin-inline-end:1rem;padding:.4rem 0;font:inherit}" +
      ":where(.lychgate-session button){padding:.4rem .75rem}"
    );
    document.adoptedStyleSheets = document.adoptedStyleSheets.concat(sheet);
  }

  ["focus", "pageshow", "online"].forEach(function (event) { window.addEventListener(event, ask); });
  document.addEventListener("visibilitychange", function () { if (!document.hidden) ask(); });
  ask();
})();
