import { byId } from './element.js';

/** In a narrow window one of the sides is shown: the images until one is open, then its cells. */
export function startSideTabs(state) {
  const tabs = [...document.querySelectorAll('#tabs button')];
  let shown = null;

  function show(side) {
    document.body.dataset.side = side;
    for (const tab of tabs) tab.setAttribute('aria-pressed', String(tab.dataset.side === side));
  }

  function follow() {
    const { job } = state;
    byId('inspector').inert = !job;
    if (!job || job.id !== shown) show(job ? 'inspector' : 'images');
    shown = job?.id ?? null;
  }

  for (const tab of tabs) tab.onclick = () => show(tab.dataset.side);
  state.on(['job'], follow);
  follow();
}
