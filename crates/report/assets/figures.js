// Draws the page's figures as SVG from their specifications. No library, no network, no style attribute.
'use strict';
const saltus = (() => {
  const NS = 'http://www.w3.org/2000/svg';
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
  const SIZE = 12;

  function node(name, attributes = {}, text) {
    const e = document.createElementNS(NS, name);
    for (const [k, v] of Object.entries(attributes)) if (v !== undefined && v !== null) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  }

  const pen = document.createElement('canvas').getContext('2d');
  function textWidth(text, size = SIZE) {
    pen.font = `${size}px ${FONT}`;
    return pen.measureText(text).width;
  }

  // ---- numbers ----
  const trim = t => t.includes('.') ? t.replace(/\.?0+$/, '') : t;
  function significant(v, digits) {
    if (v === 0) return '0';
    const size = Math.abs(v);
    if (size < 1e-3 || size >= 1e5) {
      const [m, e] = v.toExponential(Math.max(0, digits - 1)).split('e');
      const up = String(Number(e)).replace(/[-0-9]/g, c => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]);
      return trim(m) === '1' ? `10${up}` : `${trim(m)}×10${up}`;
    }
    return trim(v.toFixed(Math.min(6, Math.max(0, digits - 1 - Math.floor(Math.log10(size))))));
  }
  function write(format, v, digits = 3) {
    if (v === null || !Number.isFinite(v)) return 'not measured';
    if (format === 'share') {
      const p = v * 100;
      return (Number.isInteger(p) || digits < 3 ? trim(p.toFixed(digits < 3 ? 1 : 0)) : p.toFixed(1)) + '%';
    }
    if (format === 'whole') return String(Math.round(v));
    if (format === 'count' && Math.abs(v) < 1e15) {
      for (const [unit, name] of [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k']])
        if (Math.abs(v) >= unit * 0.9995) return significant(v / unit, digits) + name;
    }
    return significant(v, digits);
  }

  // ---- scales ----
  function scale(lo, hi, a, b, log) {
    const f = log ? Math.log10 : v => v, inverse = log ? v => 10 ** v : v => v;
    const [l, h] = [f(lo), f(hi)];
    return {
      lo, hi, log,
      at: v => a + (b - a) * ((log && v <= 0 ? l : f(v)) - l) / (h - l || 1),
      value: p => inverse(l + (h - l) * (p - a) / (b - a)),
    };
  }
  function linearTicks(lo, hi, most, whole) {
    const rough = (hi - lo) / Math.max(1, most), ten = 10 ** Math.floor(Math.log10(rough));
    const steps = [1, 2, 2.5, 5, 10].map(m => m * ten).filter(s => !whole || Number.isInteger(s));
    const step = steps.find(s => s >= rough * 0.999) || 1;
    const ticks = [];
    for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  }
  function ticks(s, most, format) {
    if (!s.log) return linearTicks(s.lo, s.hi, most, format === 'whole');
    for (const mantissas of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const all = [];
      for (let e = Math.floor(Math.log10(s.lo)); e <= Math.log10(s.hi); e++)
        for (const m of mantissas) { const t = m * 10 ** e; if (t >= s.lo * 0.9999 && t <= s.hi * 1.0001) all.push(t); }
      if (all.length <= most && all.length >= 2) return all;
    }
    const decades = [];
    const span = Math.log10(s.hi / s.lo), step = Math.max(1, Math.ceil(span / most));
    for (let e = Math.ceil(Math.log10(s.lo)); e <= Math.log10(s.hi); e += step) decades.push(10 ** e);
    return decades.length >= 2 ? decades : linearTicks(s.lo, s.hi, most);
  }
  function domain(values, axis, log, pad) {
    let all = values.filter(v => v !== null && Number.isFinite(v) && (!log || v > 0));
    if (!all.length) return log ? [1, 10] : [0, 1];
    let lo = Math.min(...all), hi = Math.max(...all);
    if (axis.lo !== undefined && !log) lo = Math.min(lo, axis.lo);
    if (axis.hi !== undefined) hi = Math.max(hi, axis.hi);
    if (log) {
      const extra = Math.max(Math.log10(hi / lo) * pad, lo === hi ? 0.3 : 0.01);
      return [lo / 10 ** extra, hi * 10 ** extra];
    }
    const extra = (hi - lo) * pad || Math.abs(hi) * 0.1 || 1;
    return [lo === axis.lo ? lo - extra / 2 : lo - extra, hi === axis.hi ? hi + extra / 2 : hi + extra];
  }

  // ---- markers ----
  const MARK = {
    circle: r => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
    ring: r => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
    square: r => `M${-r * .9} ${-r * .9}H${r * .9}V${r * .9}H${-r * .9}Z`,
    triangle: r => `M0 ${-r * 1.2}L${r * 1.15} ${r * .85}H${-r * 1.15}Z`,
    wedge: r => `M0 ${r * 1.2}L${r * 1.15} ${-r * .85}H${-r * 1.15}Z`,
    diamond: r => `M0 ${-r * 1.35}L${r * 1.35} 0L0 ${r * 1.35}L${-r * 1.35} 0Z`,
  };
  function mark(shape, x, y, r, colour, ground) {
    const open = shape === 'ring';
    return node('path', {
      d: MARK[shape](r), transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      fill: open ? 'none' : colour, stroke: open ? colour : ground, 'stroke-width': open ? 1.2 : 1, 'stroke-opacity': open ? .75 : 1,
    });
  }

  // ---- one figure ----
  function extents(spec, state) {
    const xs = [], ys = [];
    for (const l of spec.layers) {
      if (l.label && state.hidden.has(l.label) && l.kind !== 'rule') continue;
      if (l.seeds && !state.seeds) continue;
      if (l.kind === 'cells') continue;
      if (l.x) xs.push(...l.x);
      if (l.kind === 'span') continue;
      if (l.kind === 'ranges') { xs.push(...l.low, ...l.high); continue; }
      if (l.kind === 'rule') ys.push(l.y); else if (l.y) ys.push(...l.y);
      if (l.low) ys.push(...l.low);
      if (l.high) ys.push(...l.high);
    }
    return [xs, ys];
  }

  function legend(spec, state, g, width, ink, ground) {
    const entries = new Map();
    for (const l of spec.layers) {
      if (!l.label || ['rule', 'span', 'diagonal'].includes(l.kind)) continue;
      if (!entries.has(l.label)) entries.set(l.label, []);
      entries.get(l.label).push(l);
    }
    let x = 0, y = 9, rows = entries.size ? 1 : 0;
    for (const [label, layers] of entries) {
      const w = 26 + textWidth(label);
      if (x > 0 && x + w > width) { x = 0; y += 18; rows++; }
      const item = node('g', {
        class: 'key', role: 'button', tabindex: 0, 'data-label': label, 'aria-pressed': !state.hidden.has(label),
        transform: `translate(${x} ${y})`, opacity: state.hidden.has(label) ? .35 : 1,
      });
      item.append(node('rect', { x: -2, y: -9, width: w, height: 18, fill: 'transparent' }));
      for (const l of layers) {
        const c = ink(l.colour);
        if (l.kind === 'band') item.append(node('rect', { x: 0, y: -5, width: 18, height: 10, fill: c, 'fill-opacity': .16 }));
        if (l.kind === 'line') item.append(node('path', { d: 'M0 0H18', stroke: c, 'stroke-width': 2, 'stroke-dasharray': l.dash ? '4 3' : null }));
      }
      const dots = layers.find(l => l.kind === 'points');
      if (dots) item.append(mark(dots.shape, 9, 0, dots.seeds ? 3 : 4, ink(dots.colour), ground));
      item.append(node('text', { x: 23, y: 4, 'font-size': SIZE, fill: ink('soft') }, label));
      g.append(item);
      x += w + 12;
    }
    return rows * 18;
  }

  function path(xs, ys, X, Y) {
    let d = '', up = true;
    xs.forEach((x, i) => {
      if (x === null || ys[i] === null) { up = true; return; }
      d += `${up ? 'M' : 'L'}${X.at(x).toFixed(1)} ${Y.at(ys[i]).toFixed(1)}`;
      up = false;
    });
    return d;
  }

  function drawLayer(l, f) {
    const { X, Y, box, ink, ground, plot, over, hits, ends, spec } = f;
    const c = l.colour ? ink(l.colour) : null;
    if (l.kind === 'band') {
      const back = l.x.map((_, i) => l.x.length - 1 - i);
      const d = path(l.x, l.high, X, Y) + path(back.map(i => l.x[i]), back.map(i => l.low[i]), X, Y).replace(/^M/, 'L');
      if (l.x.length) plot.append(node('path', { d: d + 'Z', fill: c, 'fill-opacity': .16 }));
    } else if (l.kind === 'line') {
      plot.append(node('path', {
        d: path(l.x, l.y, X, Y), fill: 'none', stroke: c, 'stroke-width': l.thin ? 1.1 : 2.2, 'stroke-linejoin': 'round',
        'stroke-opacity': l.thin ? .7 : 1, 'stroke-dasharray': l.dash ? '5 4' : null,
      }));
      if (l.end) {
        let i = l.x.length - 1;
        while (i > 0 && (l.x[i] === null || l.y[i] === null || X.at(l.x[i]) > box.right + 1)) i--;
        if (i >= 0 && l.y[i] !== null) {
          const x = X.at(l.x[i]);
          ends.push({ x: x > box.right - 70 ? box.right : x, y: Y.at(l.y[i]), text: l.end, colour: c });
        }
      }
      if (!l.thin && l.x.length > 1) l.x.forEach((x, i) => {
        if (l.y[i] !== null) hits.push({ x: X.at(x), y: Y.at(l.y[i]), weak: true, head: l.label || l.end || '', vx: x, vy: l.y[i] });
      });
    } else if (l.kind === 'points') {
      l.x.forEach((x, i) => {
        if (x === null || l.y[i] === null) return;
        const px = X.at(x), py = Y.at(l.y[i]);
        const low = l.low[i] ?? null, high = l.high[i] ?? null;
        if (low !== null && high !== null)
          plot.append(node('path', { d: `M${px.toFixed(1)} ${Y.at(low).toFixed(1)}V${Y.at(high).toFixed(1)}`, stroke: c, 'stroke-width': 1.4, 'stroke-opacity': .7 }));
        plot.append(mark(l.shape, px, py, l.seeds ? 2.8 : l.x.length > 60 ? 2.6 : 3.8, c, ground));
        hits.push({ x: px, y: py, head: [l.label, l.names[i]].filter(Boolean).join(' · '), vx: x, vy: l.y[i], low, high });
      });
    } else if (l.kind === 'rule') {
      const y = Y.at(l.y);
      if (y < box.top - 1 || y > box.bottom + 1) return;
      plot.append(node('path', { d: `M${box.left} ${y}H${box.right}`, stroke: ink('soft'), 'stroke-width': 1.2, 'stroke-dasharray': '2 4' }));
      over.append(node('text', { x: box.right - 3, y: y - 4, 'text-anchor': 'end', 'font-size': 11, fill: ink('soft'), stroke: ground, 'stroke-width': 3, 'paint-order': 'stroke' }, l.label));
    } else if (l.kind === 'span') {
      const [a, b, at] = [X.at(l.low), X.at(l.high), X.at(l.at)];
      plot.append(node('rect', { x: Math.min(a, b), y: box.top, width: Math.max(1.5, Math.abs(b - a)), height: box.bottom - box.top, fill: c, 'fill-opacity': .11 }));
      plot.append(node('path', { d: `M${at} ${box.top}V${box.bottom}`, stroke: c, 'stroke-width': 1.2, 'stroke-dasharray': '3 3' }));
      const left = at + textWidth(l.label, 11) + 6 > box.right;
      if (l.label && at >= box.left && at <= box.right) over.append(node('text', {
        x: left ? at - 5 : at + 5, y: box.bottom - 7, 'text-anchor': left ? 'end' : 'start', 'font-size': 11,
        fill: ink('ink'), stroke: ground, 'stroke-width': 3, 'paint-order': 'stroke',
      }, l.label));
    } else if (l.kind === 'diagonal') {
      const lo = Math.max(X.lo, Y.lo), hi = Math.min(X.hi, Y.hi);
      const n = 24, v = [...Array(n + 1)].map((_, i) => lo + (hi - lo) * i / n);
      plot.append(node('path', { d: path(v, v, X, Y), stroke: ink('soft'), fill: 'none', 'stroke-dasharray': '2 4' }));
    } else if (l.kind === 'ranges') {
      const row = (box.bottom - box.top) / l.x.length;
      l.x.forEach((x, i) => {
        const y = box.top + row * (i + .68), a = X.at(l.low[i]), b = X.at(l.high[i]);
        plot.append(node('path', { d: `M${box.left} ${y}H${box.right}`, stroke: ink('line') }));
        plot.append(node('path', { d: `M${a} ${y}H${Math.max(b, a + 1)}`, stroke: c, 'stroke-width': 5, 'stroke-opacity': .35, 'stroke-linecap': 'round' }));
        plot.append(mark('circle', X.at(x), y, 4.5, c, ground));
        over.append(node('text', { x: box.left, y: y - 9, 'font-size': SIZE, fill: ink('ink') }, fit(l.names[i], box.right - box.left)));
        hits.push({ x: X.at(x), y, head: l.names[i], vx: x, vy: null, low: l.low[i], high: l.high[i], across: true });
      });
    }
  }

  // A heat map: one row for each name, one column for each x, the value in the cell where there is room.
  function cells(l, f) {
    const { box, ink, ground, back, plot, over, hits, spec } = f;
    const columns = [...new Set(l.x)].sort((a, b) => a - b), at = new Map(columns.map((x, i) => [x, i]));
    const w = (box.right - box.left) / Math.max(1, columns.length), h = (box.bottom - box.top) / Math.max(1, l.names.length);
    const step = v => `s${Math.max(0, Math.min(11, Math.round(11 * (v - l.lo) / (l.hi - l.lo || 1))))}`;
    const gap = w > 8 ? 1 : 0;
    l.value.forEach((v, i) => {
      if (v === null) return;
      const x = box.left + w * at.get(l.x[i]), y = box.top + h * l.row[i], colour = step(v);
      plot.append(node('path', { d: `M${x.toFixed(1)} ${y.toFixed(1)}h${Math.max(.5, w - gap).toFixed(1)}v${(h - 1).toFixed(1)}h${(-Math.max(.5, w - gap)).toFixed(1)}Z`, fill: ink(colour) }));
      const text = write(spec.y.format, v, 2);
      if (textWidth(text, 11) + 4 < w && h > 13) over.append(node('text', {
        x: x + w / 2, y: y + h / 2 + 4, 'text-anchor': 'middle', 'font-size': 11, fill: ink(Number(colour.slice(1)) < 5 ? 'on-light' : 'on-dark'),
      }, text));
      hits.push({ x: x + w / 2, y: y + h / 2, head: l.names[l.row[i]], vx: l.x[i], vy: v, low: l.low[i], high: l.high[i], cell: [w, h] });
    });
    l.names.forEach((name, i) => over.append(node('text', {
      x: box.left - 6, y: box.top + h * (i + .5) + 4, 'text-anchor': 'end', 'font-size': SIZE, fill: ink('soft'),
    }, fit(name, box.left - 8))));
    const every = Math.ceil(22 / w);
    columns.forEach((x, i) => { if (i % every === 0) over.append(node('text', {
      x: box.left + w * (i + .5), y: box.bottom + 16, 'text-anchor': 'middle', 'font-size': SIZE, fill: ink('soft'),
    }, String(x))); });
    over.append(node('text', { x: box.right, y: box.bottom + 33, 'text-anchor': 'end', 'font-size': SIZE, fill: ink('soft') }, spec.x.label));
    for (let i = 0; i < 12; i++) back.append(node('path', { d: `M${box.left + i * 9} ${box.top - 20}h9v10h-9Z`, fill: ink(`s${i}`) }));
    over.append(node('text', { x: box.left + 114, y: box.top - 11, 'font-size': 11, fill: ink('soft') },
      fit(`${write(spec.y.format, l.lo, 2)} to ${write(spec.y.format, l.hi, 2)} · ${spec.y.label}`, box.right - box.left - 116)));
  }

  function fit(text, width) {
    if (textWidth(text) <= width) return text;
    let n = text.length;
    while (n > 1 && textWidth(text.slice(0, n) + '…') > width) n--;
    return text.slice(0, n) + '…';
  }

  // As many digits as say each step exactly: 2.25 is not 2.3.
  const digitsOf = steps => [2, 3, 4, 5].find(n => steps.every(t => significant(t, n) === significant(t, 9))) || 5;

  // At most `most` steps with what is written at them, fewer where the words would touch.
  function written(X, most, format) {
    for (let n = most; ; n--) {
      const steps = ticks(X, n, format), digits = digitsOf(steps);
      const labels = steps.map(t => ({ t, x: X.at(t), text: write(format, t, digits) }));
      const apart = (a, b) => b.x - a.x >= (textWidth(a.text) + textWidth(b.text)) / 2 + 8;
      if (n <= 2 || labels.every((b, i) => i === 0 || apart(labels[i - 1], b))) return labels;
    }
  }

  function axes(f, most) {
    const { X, Y, box, ink, back, over, spec, rows } = f;
    for (const { x, text } of written(X, most, spec.x.format)) {
      back.append(node('path', { d: `M${x} ${box.top}V${box.bottom}`, stroke: ink('line') }));
      over.append(node('text', { x, y: box.bottom + 16, 'text-anchor': 'middle', 'font-size': SIZE, fill: ink('soft') }, text));
    }
    const end = textWidth(spec.x.label) > box.right - box.left ? fit(spec.x.label, box.right) : spec.x.label;
    over.append(node('text', { x: box.right, y: box.bottom + 33, 'text-anchor': 'end', 'font-size': SIZE, fill: ink('soft') }, end));
    if (rows) return;
    const steps = ticks(Y, Math.max(2, Math.round((box.bottom - box.top) / 44)));
    const digits = digitsOf(steps);
    for (const t of steps) {
      const y = Y.at(t);
      if (y < box.top - 1 || y > box.bottom + 1) continue;
      back.append(node('path', { d: `M${box.left} ${y}H${box.right}`, stroke: ink('line') }));
      over.append(node('text', { x: box.left - 6, y: y + 4, 'text-anchor': 'end', 'font-size': SIZE, fill: ink('soft') }, write(spec.y.format, t, digits)));
    }
    back.append(node('path', { d: `M${box.left} ${box.bottom}H${box.right}`, stroke: ink('soft'), 'stroke-opacity': .6 }));
    over.append(node('text', { x: 0, y: box.top - 9, 'font-size': SIZE, fill: ink('soft') }, fit(spec.y.label, box.right)));
  }

  // Names at the ends of lines, moved apart where they would cover each other.
  function endLabels(f) {
    const all = f.ends.sort((a, b) => a.y - b.y), { box, over, ink, ground } = f;
    const inTheWay = (a, b) => Math.abs(a.x - b.x) < 48;
    all.forEach((e, i) => {
      e.y = Math.max(e.y, box.top + 4);
      for (const other of all.slice(0, i)) if (inTheWay(e, other)) e.y = Math.max(e.y, other.y + 13);
    });
    for (let i = all.length - 1; i >= 0; i--) {
      all[i].y = Math.min(all[i].y, box.bottom);
      for (const other of all.slice(i + 1)) if (inTheWay(all[i], other)) all[i].y = Math.min(all[i].y, other.y - 13);
    }
    for (const e of all) {
      over.append(node('path', { d: `M${e.x + 4} ${e.y}h7`, stroke: e.colour, 'stroke-width': 3 }));
      over.append(node('text', { x: e.x + 14, y: e.y + 4, 'font-size': 11.5, fill: ink('ink'), stroke: ground, 'stroke-width': 3, 'paint-order': 'stroke' }, e.text));
    }
  }

  // Draws `spec` at `width` pixels. `ink` turns a colour's name into a colour. Gives the svg, its scales and its hits.
  function draw(spec, state, width, ink, title) {
    const ground = ink('card'), grid = spec.layers.find(l => l.kind === 'cells');
    const rows = Boolean(grid) || spec.layers.some(l => l.kind === 'ranges');
    const svg = node('svg', { width, 'font-family': FONT, xmlns: NS });
    const head = node('g', { transform: 'translate(0 0)' });
    const keys = spec.quiet && !title ? 0 : legend(spec, state, head, width, ink, ground);
    const [xs, ys] = extents(spec, state);
    const shift = title ? 24 : 0;
    const endings = spec.layers.filter(l => l.kind === 'line' && l.end && !(l.label && state.hidden.has(l.label)));
    const wide = endings.length ? Math.min(100, 20 + Math.max(...endings.map(l => textWidth(l.end)))) : 18;
    const named = grid ? Math.min(width * .34, 12 + Math.max(...grid.names.map(n => textWidth(n)))) : 4;
    const box = { left: rows ? named : 44, right: width - wide, top: shift + keys + (grid ? 26 : rows ? 4 : 26) };
    box.bottom = box.top + spec.height;
    const height = box.bottom + 42;
    const zoom = state.zoom || {};
    const [x0, x1] = zoom.x || domain(xs, spec.x, state.logx, .04), [y0, y1] = zoom.y || domain(ys, spec.y, state.logy, .06);
    const f = {
      spec, box, ink, ground, rows, hits: [], ends: [],
      X: scale(x0, x1, box.left, box.right, state.logx), Y: scale(y0, y1, box.bottom, box.top, state.logy),
      back: node('g'), plot: node('g'), over: node('g'),
    };
    const clip = `clip-${spec.id}`, clips = node('clipPath', { id: clip });
    clips.append(node('rect', { x: box.left - 5, y: box.top - 5, width: box.right - box.left + 10, height: spec.height + 10 }));
    f.plot.setAttribute('clip-path', `url(#${clip})`);
    if (grid) cells(grid, f); else axes(f, Math.max(2, Math.floor((box.right - box.left) / 46)));
    for (const l of spec.layers) if (!(l.label && state.hidden.has(l.label)) && !(l.seeds && !state.seeds)) drawLayer(l, f);
    endLabels(f);
    f.hits = f.hits.filter(h => h.x >= box.left - 5 && h.x <= box.right + 5 && h.y >= box.top - 5 && h.y <= box.bottom + 5);
    head.setAttribute('transform', `translate(0 ${shift})`);
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    if (title) {
      svg.append(node('rect', { width, height, fill: ground }));
      svg.append(node('text', { x: 0, y: 15, 'font-size': 14, 'font-weight': 600, fill: ink('ink') }, fit(title, width)));
    }
    const focus = node('circle', { r: 7, fill: 'none', stroke: ink('ink'), 'stroke-width': 1.5, visibility: 'hidden' });
    svg.append(clips, f.back, f.plot, f.over, head, focus);
    return { svg, focus, ...f };
  }

  return { draw, node, write };
})();
