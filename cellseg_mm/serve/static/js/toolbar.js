import { byId, element, icon } from './element.js';

/** The buttons at the image's edge. */
export function startToolbar({ viewer, tool, state }) {
  const button = (name, words, key, act) =>
    element(
      'button',
      {
        type: 'button',
        className: 'icon-button',
        title: `${words} (${key})`,
        'aria-label': words,
        onclick: act,
      },
      icon(name),
    );
  const rectangle = button('rectangle', 'Draw a rectangle', 'R', () => tool.choose('rectangle'));
  const polygon = button('polygon', 'Draw a polygon', 'P', () => tool.choose('polygon'));
  const cells = button('cells', 'Cells', 'C', () => state.set({ showCells: !state.showCells }));
  byId('tools').replaceChildren(
    button('plus', 'Zoom in', '+', () => viewer.zoomBy(1.5)),
    button('minus', 'Zoom out', '−', () => viewer.zoomBy(1 / 1.5)),
    button('fit', 'Whole image', '0', () => viewer.fit()),
    element('hr'),
    cells,
    rectangle,
    polygon,
    button('view', 'Count in what is in view', 'V', () => tool.takeView()),
  );
  const show = () => {
    byId('tools').hidden = !state.job;
    rectangle.setAttribute('aria-pressed', String(state.tool === 'rectangle'));
    polygon.setAttribute('aria-pressed', String(state.tool === 'polygon'));
    cells.setAttribute('aria-pressed', String(state.showCells));
  };
  state.on(['job', 'tool', 'showCells'], show);
  show();
}
