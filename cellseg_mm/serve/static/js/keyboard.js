import { byId, element } from './element.js';

/** Keys with what they do; the help lists them. `shown`: how the help writes the key. */
function keysOf({ viewer, tool, classes, cell, opener, state, toggleTheme, showHelp }) {
  const flip = (key) => () => state.set({ [key]: !state[key] });
  return [
    { keys: ['o'], shown: 'O', words: 'open an image', act: opener.choose, always: true },
    { keys: ['+', '='], shown: '+ −', words: 'zoom in, zoom out', act: () => viewer.zoomBy(1.5) },
    { keys: ['-'], act: () => viewer.zoomBy(1 / 1.5) },
    { keys: ['0'], shown: '0', words: 'whole image', act: () => viewer.fit() },
    { shown: '← ↑ → ↓', words: 'move, when the image has the focus' },
    {
      keys: '123456789'.split(''),
      shown: '1 … 9',
      words: 'class on and off',
      act: (key) => classes.toggle(Number(key) - 1),
    },
    { keys: ['['], shown: '[ ]', words: 'least score down, up', act: () => classes.step(-5) },
    { keys: [']'], act: () => classes.step(5) },
    { keys: ['c'], shown: 'C', words: 'cells on and off', act: flip('showCells') },
    { keys: ['f'], shown: 'F', words: 'fill cells', act: flip('fill') },
    { keys: ['m'], shown: 'M', words: 'marks of classes', act: flip('marks') },
    { keys: ['n'], shown: 'N, Shift N', words: 'next cell, previous cell', act: () => cell.selectNext(1) },
    { keys: ['N'], act: () => cell.selectNext(-1) },
    { keys: ['r'], shown: 'R', words: 'draw a rectangle', act: () => tool.choose('rectangle') },
    { keys: ['p'], shown: 'P', words: 'draw a polygon', act: () => tool.choose('polygon') },
    { keys: ['v'], shown: 'V', words: 'count in what is in view', act: () => tool.takeView() },
    { keys: ['Backspace'], shown: 'Backspace', words: 'take back a corner', act: () => tool.undo() },
    { keys: ['d'], shown: 'D', words: 'highlight what only one result has', act: flip('differences') },
    { keys: ['t'], shown: 'T', words: 'dark or light', act: toggleTheme, always: true },
    { keys: ['?'], shown: '?', words: 'this help', act: showHelp, always: true },
  ];
}

const escape = ({ state }) => {
  if (state.tool || state.draft) state.set({ tool: null, draft: null });
  else if (state.selected) state.set({ selected: null });
  else state.set({ region: null });
};

/** Keys work everywhere but in fields; Enter belongs to the image while it has the focus. */
export function startKeyboard(parts) {
  const help = byId('help');
  const showHelp = () => help.showModal();
  byId('show-help').onclick = showHelp;
  const keys = keysOf({ ...parts, showHelp });
  const byKey = new Map(keys.flatMap((entry) => (entry.keys ?? []).map((key) => [key, entry])));
  byId('keys').replaceChildren(
    ...[
      ...keys.filter(({ shown }) => shown),
      { shown: 'Enter', words: 'close the polygon, or pick the cell in the middle' },
      { shown: 'Esc', words: 'end drawing, deselect, remove the region' },
    ].map(({ shown, words }) =>
      element('div', {}, element('dt', {}, element('kbd', {}, shown)), element('dd', {}, words)),
    ),
  );
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const { target } = event;
    if (target.matches('select, input:not([type=range], [type=checkbox])')) return;
    if (event.key === 'Escape') escape(parts);
    else if (event.key === 'Enter' && parts.viewer.osd.canvas.contains(target)) {
      if (parts.state.draft) parts.tool.close();
      else if (parts.viewer.isOpen) parts.cell.selectMiddle();
    } else {
      const entry = byKey.get(event.key) ?? byKey.get(event.key.toLowerCase());
      if (!entry?.act || (!entry.always && !parts.viewer.isOpen)) return;
      event.preventDefault();
      entry.act(event.key);
    }
  });
}
