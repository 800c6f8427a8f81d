// One plot, drawn by uPlot, with a legend that tells series apart by dashes as
// well as by colour.

import uPlot from './vendor/uplot.js';
import { h } from './dom.js';

const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [4, 2], [1, 2]];
const MOST = DASHES.length;

/** Resolves a colour of the style sheet for a canvas. */
function colour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Plots of one view, which share their cursor. */
export class Charts {
  constructor() {
    this.sync = uPlot.sync(`flow-${Math.random()}`);
    this.charts = new Map();
    this.redraw = () => this.charts.forEach((chart) => chart.rebuild());
    document.addEventListener('sluice-theme', this.redraw);
  }

  /**
   * Describes a plot. `model` is `{ times, series: [{ name, values }] }`, times in
   * seconds; `format` writes a value, `steps` are possible distances of the lines.
   */
  figure({ id, title, unit, model, format, steps }) {
    const series = drawn(model.series);
    const names = series.map(({ name }) => name);
    const shape = JSON.stringify(names);
    const data = [model.times, ...series.map(({ values }) => values)];
    const chart = this.charts.get(id);
    if (chart) chart.take(shape, names, data);
    return h('figure', { class: 'card plot', key: id, 'aria-labelledby': `${id}-title` },
      h('figcaption', null, h('h2', { id: `${id}-title` }, title), h('span', { class: 'muted small' }, unit)),
      h('ul', { class: 'legend', 'aria-label': `${title}, latest values` }, names.length === 0
        ? h('li', null, 'nothing yet')
        : names.map((name, at) => h('li', null, swatch(at), name, ' ', h('b', null, format(last(data[at + 1])))))),
      h('div', {
        class: 'canvas', 'aria-hidden': 'true',
        own: (element) => this.charts.set(id, new Chart({ element, sync: this.sync, format, steps, shape, names, data })),
      }));
  }

  stop() {
    document.removeEventListener('sluice-theme', this.redraw);
    this.charts.forEach((chart) => chart.end());
    this.charts.clear();
  }
}

/** As many series as can be told apart; the others are one, their sum. */
function drawn(series) {
  if (series.length <= MOST) return series;
  const others = series.slice(MOST - 1);
  const sum = (_, at) => {
    const known = others.map(({ values }) => values[at]).filter((value) => value !== null && value !== undefined);
    return known.length === 0 ? null : known.reduce((one, other) => one + other, 0);
  };
  const values = others[0].values.map(sum);
  return [...series.slice(0, MOST - 1), { name: `${others.length} others`, values }];
}

function last(values) {
  for (let at = values.length - 1; at >= 0; at -= 1) {
    if (values[at] !== null && values[at] !== undefined) return values[at];
  }
  return NaN;
}

function swatch(at) {
  return h('svg', { width: '22', height: '8', viewBox: '0 0 22 8', 'aria-hidden': 'true' },
    h('line', { class: `series-${at}`, x1: '1', y1: '4', x2: '21', y2: '4', 'stroke-dasharray': DASHES[at].join(' ') || null }));
}

class Chart {
  constructor(given) {
    Object.assign(this, given);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.element);
  }

  take(shape, names, data) {
    this.names = names;
    this.data = data;
    if (shape !== this.shape || !this.plot) {
      this.shape = shape;
      this.rebuild();
    } else {
      this.plot.setData(data);
    }
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    if (this.plot) this.plot.setSize({ width, height });
    else this.rebuild();
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    const [text, line] = [colour('--muted'), colour('--line')];
    const font = '11px system-ui, sans-serif';
    const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const series = this.names.map((name, at) => ({
      label: name,
      stroke: colour(`--series-${at + 1}`),
      dash: DASHES[at],
      width: 1.75,
      points: { show: false },
      spanGaps: false,
    }));
    this.plot = new uPlot({
      width,
      height,
      legend: { show: false },
      cursor: { sync: { key: this.sync.key }, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), niceTop(high)] } },
      axes: [
        { ...axis, size: 30, space: 70, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 60, space: 36, ...(this.steps ? { incrs: this.steps } : {}), values: (_, ticks) => ticks.map((tick) => (tick === 0 ? '0' : this.format(tick))) },
      ],
      series: [{}, ...series],
    }, this.data, this.element);
  }

  end() {
    this.watch.disconnect();
    this.plot?.destroy();
  }
}

function niceTop(high) {
  return high > 0 ? high * 1.12 : 1;
}

const hours = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
const seconds = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

function clock(at) {
  return (at % 60 === 0 ? hours : seconds).format(new Date(at * 1000));
}
