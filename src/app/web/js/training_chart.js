// The curve of a training run's loss as SVG: as it was logged, thin, and smoothed, thick, with axes and their labels.

const kNamespace = 'http://www.w3.org/2000/svg', kMostPoints = 800;
const kBox = {height: 300, left: 62, right: 20, top: 14, bottom: 44};

// A running mean that forgets with `weight` (0 to below 1), without the pull of its start towards 0.
export function smoothed(values, weight) {
  let sum = 0, norm = 0;
  return values.map((value) => {
    sum = sum * weight + value * (1 - weight);
    norm = norm * weight + (1 - weight);
    return sum / norm;
  });
}

// Round numbers in a range, about as many as asked for: [0, 0.05, 0.1] for 0 to 0.12 and 3.
export function ticks(low, high, about) {
  const rough = (high - low) / about || Math.abs(high) || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.7);
  const first = Math.ceil(low / step - 1e-9), count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({length: Math.max(count, 0)}, (_, i) => Number(((first + i) * step).toPrecision(10)));
}

// Of very many points the lowest and the highest of each stretch, so that no peak is lost.
export function thinned(points, most = kMostPoints) {
  if (points.length <= most) return points;
  const size = Math.ceil(points.length / (most / 2)), kept = [];
  for (let from = 0; from < points.length; from += size) {
    const part = points.slice(from, from + size);
    let low = part[0], high = part[0];
    for (const point of part) {
      if (point[1] < low[1]) low = point;
      if (point[1] > high[1]) high = point;
    }
    kept.push(...(low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low]));
  }
  return kept;
}

export const short = (value) => String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3)));

// One sentence for who does not see the curve. `log` is [{step, loss}], not empty.
export function inWords(log, weight) {
  const first = log[0], last = log.at(-1), lowest = log.reduce((a, b) => (b.loss < a.loss ? b : a));
  const even = smoothed(log.map((entry) => entry.loss), weight).at(-1);
  return `Loss over ${log.length} logged steps: ${short(first.loss)} at step ${first.step}, ` +
    `${short(last.loss)} at step ${last.step} (smoothed ${short(even)}), ` +
    `lowest ${short(lowest.loss)} at step ${lowest.step}.`;
}

// `width`: what there is room for, in CSS pixels; the text has its size on any screen.
export function lossChart(log, weight, width) {
  const entries = log.filter((entry) => Number.isFinite(entry.loss));
  const losses = entries.map((entry) => entry.loss), even = smoothed(losses, weight);
  // A few peaks shall not press the curve flat: the axis ends at the 99th of 100, or above the smoothed curve.
  const sorted = [...losses].sort((a, b) => a - b), most = sorted[Math.floor((sorted.length - 1) * 0.99)];
  let low = Math.min(sorted[0], ...thinned(even.map((y, x) => [x, y])).map((point) => point[1]));
  let high = Math.max(most, ...thinned(even.map((y, x) => [x, y])).map((point) => point[1]));
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  low = low >= 0 ? Math.max(0, low - pad) : low - pad;
  high += pad;
  const from = entries[0].step, to = Math.max(entries.at(-1).step, from + 1);
  const {height, left, right, top, bottom} = kBox;
  const atX = (step) => left + (step - from) / (to - from) * (width - left - right);
  const atY = (loss) => height - bottom - (Math.min(loss, high) - low) / (high - low) * (height - top - bottom);
  const line = (values, name) => {
    const points = thinned(values.map((y, i) => [entries[i].step, y]));
    return make('polyline', {class: name,
      points: points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(' ')});
  };

  const svg = make('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': inWords(entries, weight)});
  for (const loss of ticks(low, high, 8)) {
    svg.append(make('line', {class: 'tr-grid', x1: left, x2: width - right, y1: atY(loss), y2: atY(loss)}),
      make('text', {x: left - 8, y: atY(loss), 'text-anchor': 'end', 'dominant-baseline': 'middle'}, short(loss)));
  }
  for (const step of ticks(from, to, width / 90)) {
    if (!Number.isInteger(step)) continue;
    svg.append(
      make('line', {class: 'tr-tick', x1: atX(step), x2: atX(step), y1: height - bottom, y2: height - bottom + 5}),
      make('text', {x: atX(step), y: height - bottom + 18, 'text-anchor': 'middle'}, String(step)));
  }
  svg.append(make('line', {class: 'tr-tick', x1: left, x2: width - right, y1: height - bottom, y2: height - bottom}),
    make('text', {x: (left + width - right) / 2, y: height - 8, 'text-anchor': 'middle'}, 'step'),
    make('text', {transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle'},
      'loss'),
    line(losses, 'tr-raw'), line(even, 'tr-even'));
  return svg;
}

function make(tag, attributes, text) {
  const element = document.createElementNS(kNamespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
