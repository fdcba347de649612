import { byId } from './element.js';

/** Say one sentence in the status region. */
export function say(text) {
  const line = byId('status');
  line.textContent = text;
  line.classList.remove('bad');
}

/** Say what went wrong, in the one sentence of the server or of the page. */
export function complain(error) {
  const line = byId('status');
  line.textContent = error instanceof Error ? error.message : String(error);
  line.classList.add('bad');
}
