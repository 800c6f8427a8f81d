// Light, dark, or as the system has it.

const KEY = 'sluice-theme';
const ORDER = ['system', 'light', 'dark'];

export function theme() {
  const kept = localStorage.getItem(KEY);
  return ORDER.includes(kept) ? kept : 'system';
}

export function applyTheme() {
  const wanted = theme();
  if (wanted === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  document.dispatchEvent(new Event('sluice-theme'));
}

export function nextTheme() {
  localStorage.setItem(KEY, ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length]);
  applyTheme();
}

export function watchSystemTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', () => document.dispatchEvent(new Event('sluice-theme')));
}
