// What is wider than the page can be scrolled by keyboard; what is not stays out of the tab order.
"use strict";
(() => {
  const update = () => {
    for (const region of document.querySelectorAll(".scroll")) {
      if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    }
  };
  addEventListener("resize", update);
  update();
})();
