import { byId, icon } from './element.js';

const DARK = matchMedia('(prefers-color-scheme: dark)');

const isDark = () => (document.documentElement.dataset.theme ?? (DARK.matches ? 'dark' : 'light')) === 'dark';

function showButton() {
  const words = isDark() ? 'Light colours' : 'Dark colours';
  const button = byId('theme');
  button.replaceChildren(icon(isDark() ? 'sun' : 'moon'));
  button.title = `${words} (T)`;
  button.setAttribute('aria-label', words);
}

/** Change between light and dark; the choice is kept. */
export function toggleTheme() {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
  showButton();
}

/** Light or dark as the system has it, until somebody chooses. */
export function startTheme() {
  const kept = localStorage.getItem('theme');
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
  byId('theme').onclick = toggleTheme;
  DARK.addEventListener('change', showButton);
  showButton();
}
