// Numbers, times and names as people read them.

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const dayAndClock = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export function count(value) {
  return Number.isFinite(value) ? grouped.format(value) : '–';
}

/** A rate: whole numbers from 10 on. */
export function rate(value) {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e7 ? 1 : 2)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return value >= 10 || value === 0 ? grouped.format(value) : value.toFixed(1);
}

export function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A duration in milliseconds. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

/** A time in RFC 3339 as the clock shows it here, with the day if it is not today. */
export function time(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text || '–';
  const isToday = at.toDateString() === new Date().toDateString();
  return (isToday ? clock : dayAndClock).format(at);
}

export function clockTime(ms) {
  return clock.format(new Date(ms));
}

/** The first digits of a digest. */
export function digest(sha256) {
  return sha256 ? sha256.slice(0, 12) : '';
}

/** The source of a manifest, which is a text or JSON with the field `source`. */
export function sourceOf(manifest) {
  try {
    return JSON.parse(manifest).source ?? manifest;
  } catch {
    return manifest;
  }
}

/** A source without its folders. */
export function shortSource(source) {
  if (!source) return '–';
  const cut = source.lastIndexOf('/');
  return cut >= 0 && cut < source.length - 1 ? source.slice(cut + 1) : source;
}

export function plural(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
