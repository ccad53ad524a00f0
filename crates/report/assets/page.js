// The page's behaviour: lazy drawing, hover, zoom, switches, saving, the table.
'use strict';
(() => {
  const { draw, node, write } = saltus;
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const specs = new Map(read('figures').map(s => [s.id, s]));
  const study = document.body.dataset.study;
  const tip = document.getElementById('tip'), live = document.getElementById('live');
  const plots = new Map();
  const ink = name => `var(--${name})`;

  function element(name, attributes = {}, ...children) {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }

  // ---- drawing, when in sight ----
  for (const figure of document.querySelectorAll('figure[data-figure]')) {
    const spec = specs.get(figure.dataset.figure), canvas = figure.querySelector('.canvas');
    canvas.style.minHeight = `${spec.height + 90}px`;
    const state = { logx: spec.x.log, logy: spec.y.log, seeds: true, hidden: new Set(), zoom: null };
    const plot = { spec, state, figure, canvas, width: 0, at: -1 };
    plots.set(spec.id, plot);
    figure.append(tools(plot));
    gestures(plot);
  }
  function render(plot, given) {
    const width = given || plot.canvas.clientWidth;
    if (!width) return;
    plot.width = width;
    // Small multiples are lower on paper, so that three rows fit on a page.
    const spec = given && plot.figure.closest('.cards') ? { ...plot.spec, height: 118 } : plot.spec;
    plot.drawn = draw(spec, plot.state, width, ink);
    plot.drawn.svg.setAttribute('aria-hidden', 'true');
    const key = document.activeElement?.closest?.('.key')?.dataset.label;
    plot.canvas.replaceChildren(plot.drawn.svg);
    plot.canvas.style.minHeight = '';
    if (key !== undefined) [...plot.canvas.querySelectorAll('.key')].find(k => k.dataset.label === key)?.focus();
    plot.figure.dataset.drawn = 'yes';
    plot.at = -1;
  }
  const near = new IntersectionObserver(seen => {
    for (const s of seen) if (s.isIntersecting) {
      const plot = plots.get(s.target.dataset.figure);
      if (plot.width !== plot.canvas.clientWidth) render(plot);
    }
  }, { rootMargin: '400px 0px' });
  const resized = new ResizeObserver(changes => {
    for (const c of changes) {
      const plot = plots.get(c.target.closest('figure').dataset.figure);
      // In the next frame: drawing changes heights, which an observer must not do while it is told of sizes.
      if (plot.drawn && c.contentRect.width) requestAnimationFrame(() => { if (plot.width !== plot.canvas.clientWidth) render(plot); });
    }
  });
  for (const plot of plots.values()) { near.observe(plot.figure); resized.observe(plot.canvas); }
  // What is in sight comes first; the rest is drawn when there is nothing else to do, so that paper and saved copies
  // are complete.
  const waiting = [...plots.values()];
  setTimeout(function more() {
    for (const plot of waiting.splice(0, 4)) if (!plot.drawn) render(plot);
    if (waiting.length) setTimeout(more, 20);
  }, 60);
  addEventListener('beforeprint', () => {
    for (const d of document.querySelectorAll('details')) d.open = true;
    for (const plot of plots.values()) if (!plot.figure.closest('[hidden]')) render(plot, paperWidth(plot.figure));
  });
  addEventListener('afterprint', () => { for (const plot of plots.values()) render(plot); });
  // What the print style sheet leaves for a figure on A4 or letter, so that its text prints at its own size.
  function paperWidth(figure) {
    return figure.closest('.cards') ? 200 : figure.closest('.law .pair') ? 190 : figure.closest('.pair') ? 305 : figure.closest('.law') ? 415 : 650;
  }

  // ---- reading values ----
  function show(plot, hit) {
    const { spec, drawn } = plot;
    for (const [k, v] of [['cx', hit.x], ['cy', hit.y], ['visibility', 'visible']]) drawn.focus.setAttribute(k, v);
    const range = f => hit.low === null || hit.low === undefined ? '' : ` (${write(f, hit.low)} to ${write(f, hit.high)})`;
    const lines = [`${write(spec.x.format, hit.vx)}${hit.across ? range(spec.x.format) : ''} · ${spec.x.label}`];
    if (hit.vy !== null) lines.push(`${write(spec.y.format, hit.vy)}${range(spec.y.format)} · ${spec.y.label}`);
    tip.replaceChildren(...(hit.head ? [element('b', {}, hit.head)] : []), ...lines.map(l => element('span', {}, l)));
    tip.hidden = false;
    const frame = drawn.svg.getBoundingClientRect(), ratio = frame.width / plot.width;
    const x = frame.left + hit.x * ratio, y = frame.top + hit.y * ratio, room = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(6, Math.min(room - tip.offsetWidth - 6, x - tip.offsetWidth / 2))}px`;
    tip.style.top = `${y - tip.offsetHeight - 14 > 4 ? y - tip.offsetHeight - 14 : y + 16}px`;
    return [hit.head, ...lines].filter(Boolean).join('. ');
  }
  function hide(plot) {
    tip.hidden = true;
    plot.drawn?.focus.setAttribute('visibility', 'hidden');
  }
  addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });

  // ---- hover, drag, keys ----
  function place(plot, event) {
    const frame = plot.drawn.svg.getBoundingClientRect(), ratio = plot.width / frame.width;
    return [(event.clientX - frame.left) * ratio, (event.clientY - frame.top) * ratio];
  }
  function nearest(plot, x, y) {
    let best = null, least = 32;
    for (const hit of plot.drawn.hits) {
      if (hit.cell) {
        if (Math.abs(hit.x - x) <= hit.cell[0] / 2 && Math.abs(hit.y - y) <= hit.cell[1] / 2) return hit;
        continue;
      }
      const d = Math.hypot(hit.x - x, (hit.y - y) * .8) + (hit.weak ? 8 : 0);
      if (d < least) [best, least] = [hit, d];
    }
    return best;
  }
  function gestures(plot) {
    const { canvas } = plot;
    let from = null, frame = null;
    const inside = (x, y) => { const b = plot.drawn.box; return x >= b.left - 6 && x <= b.right + 6 && y >= b.top - 6 && y <= b.bottom + 6; };
    const end = () => { frame?.remove(); from = frame = null; };
    canvas.addEventListener('pointerdown', e => {
      if (!plot.drawn || e.button || e.target.closest('.key')) return;
      const [x, y] = place(plot, e);
      if (inside(x, y)) { from = [x, y]; canvas.setPointerCapture(e.pointerId); }
    });
    canvas.addEventListener('pointermove', e => {
      if (!plot.drawn) return;
      const [x, y] = place(plot, e);
      if (from && Math.hypot(x - from[0], y - from[1]) > 8) {
        hide(plot);
        if (!frame) { frame = node('rect', { class: 'select' }); plot.drawn.svg.append(frame); }
        const area = selection(plot, from, [x, y]);
        for (const [k, v] of Object.entries(area)) frame.setAttribute(k, v);
      } else if (!from) {
        const hit = nearest(plot, x, y);
        if (hit) show(plot, hit); else hide(plot);
      }
    });
    canvas.addEventListener('pointerup', e => {
      if (!from) return;
      const [x, y] = place(plot, e), start = from, zoomed = frame;
      end();
      if (zoomed) zoomTo(plot, selection(plot, start, [x, y]));
      else { const hit = nearest(plot, x, y); if (hit) show(plot, hit); else hide(plot); }
    });
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('pointerleave', () => { if (!from) hide(plot); });
    canvas.addEventListener('blur', () => hide(plot));
    canvas.addEventListener('dblclick', () => reset(plot));
    canvas.addEventListener('click', e => { const k = e.target.closest('.key'); if (k) toggle(plot, k.dataset.label); });
    canvas.addEventListener('keydown', e => keys(plot, e));
  }
  // A drag that is nearly level selects sizes only; otherwise a rectangle.
  function selection(plot, a, b) {
    const { box } = plot.drawn, clamp = (v, lo, hi) => Math.max(lo, Math.min(hi, v));
    const [x0, x1] = [a[0], b[0]].map(v => clamp(v, box.left, box.right)).sort((p, q) => p - q);
    const level = Math.abs(a[1] - b[1]) < 24 || plot.drawn.rows;
    const [y0, y1] = level ? [box.top, box.bottom] : [a[1], b[1]].map(v => clamp(v, box.top, box.bottom)).sort((p, q) => p - q);
    return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  }
  function zoomTo(plot, area) {
    const { X, Y, box } = plot.drawn;
    if (area.width < 6 || plot.spec.layers.some(l => l.kind === 'cells')) return;
    plot.state.zoom = {
      x: [X.value(area.x), X.value(area.x + area.width)],
      y: area.height > box.bottom - box.top - 1 ? plot.state.zoom?.y : [Y.value(area.y + area.height), Y.value(area.y)],
    };
    render(plot);
  }
  function scaleBy(plot, share) {
    const { box } = plot.drawn, w = (box.right - box.left) * share, middle = (box.left + box.right) / 2;
    zoomTo(plot, { x: middle - w / 2, y: box.top, width: w, height: box.bottom - box.top });
  }
  function reset(plot) { plot.state.zoom = null; render(plot); }
  function toggle(plot, label) {
    const { hidden } = plot.state;
    if (!hidden.delete(label)) hidden.add(label);
    render(plot);
  }
  function keys(plot, e) {
    const key = e.target.closest('.key');
    if (key && (e.key === 'Enter' || e.key === ' ')) { e.preventDefault(); toggle(plot, key.dataset.label); return; }
    if (!plot.drawn || e.target !== plot.canvas) return;
    const hits = plot.drawn.hits.filter(h => !h.weak).sort((a, b) => a.x - b.x || a.y - b.y);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (step && hits.length) {
      e.preventDefault();
      plot.at = (plot.at + step + (plot.at < 0 && step < 0 ? 1 : 0) + hits.length) % hits.length;
      live.textContent = show(plot, hits[plot.at]);
    } else if (e.key === '+' || e.key === '=') scaleBy(plot, .6);
    else if (e.key === '-') scaleBy(plot, 1 / .6);
    else if (e.key === '0') reset(plot);
    else if (e.key === 'Escape') hide(plot);
  }

  // ---- the menu of a figure ----
  function tools(plot) {
    const box = (name, label, present) => {
      if (!present) return [];
      const input = element('input', { type: 'checkbox', 'data-state': name });
      input.checked = plot.state[name];
      input.addEventListener('change', () => { plot.state[name] = input.checked; plot.state.zoom = null; render(plot); });
      return [element('label', {}, input, ` ${label}`)];
    };
    const button = (label, act) => {
      const b = element('button', { type: 'button' }, label);
      b.addEventListener('click', act);
      return b;
    };
    const grid = plot.spec.layers.some(l => l.kind === 'cells');
    const ranges = grid || plot.spec.layers.some(l => l.kind === 'ranges');
    const summary = element('summary', { 'aria-label': `Options of the figure ${plot.spec.title}`, title: 'Options' }, '⋯');
    return element('details', { class: 'tools' }, summary, element('div', {},
      ...box('logx', 'logarithmic across', !grid), ...box('logy', 'logarithmic upwards', !ranges),
      ...box('seeds', 'seeds', plot.spec.layers.some(l => l.seeds)),
      button('Show all (zoom out)', () => reset(plot)), button('Save as SVG', () => saveSvg(plot)), button('Save as PNG', () => savePng(plot))));
  }
  document.addEventListener('click', e => {
    for (const d of document.querySelectorAll('details.tools[open]')) if (!d.contains(e.target)) d.open = false;
  });
  document.addEventListener('keydown', e => {
    if (e.key !== 'Escape') return;
    for (const d of document.querySelectorAll('details.tools[open]')) { d.open = false; d.firstChild.focus(); }
  });
  for (const box of document.querySelectorAll('[data-all]')) box.addEventListener('change', () => {
    for (const plot of plots.values()) {
      const own = plot.figure.querySelector(`[data-state="${box.dataset.all}"]`);
      if (!own || (box.dataset.all === 'logx' && !plot.spec.x.log)) continue;
      own.checked = plot.state[box.dataset.all] = box.checked;
      plot.state.zoom = null;
      if (plot.drawn) render(plot);
    }
  });

  // ---- saving ----
  function save(name, type, text) {
    const url = URL.createObjectURL(text instanceof Blob ? text : new Blob([text], { type }));
    const a = element('a', { href: url, download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
  function picture(plot) {
    const style = getComputedStyle(document.documentElement);
    const flat = name => style.getPropertyValue(`--${name}`).trim();
    const { svg } = draw(plot.spec, plot.state, plot.width || 640, flat, plot.spec.title);
    return svg;
  }
  const text = svg => new XMLSerializer().serializeToString(svg);
  function saveSvg(plot) { save(`${plot.spec.id}.svg`, 'image/svg+xml', text(picture(plot))); }
  function savePng(plot) {
    const svg = picture(plot), [w, h] = ['width', 'height'].map(k => Number(svg.getAttribute(k)));
    const image = new Image(), sharp = 3;
    image.onload = () => {
      const canvas = element('canvas', { width: w * sharp, height: h * sharp });
      canvas.getContext('2d').drawImage(image, 0, 0, w * sharp, h * sharp);
      canvas.toBlob(blob => blob && save(`${plot.spec.id}.png`, 'image/png', blob));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text(svg))}`;
  }

  // ---- the data ----
  // A text that a spreadsheet would take for a formula gets a leading apostrophe.
  const cell = v => v === null || v === undefined ? '' : typeof v === 'number' ? String(v)
    : `"${String(v).replace(/^[=+\-@\t\r]/, "'$&").replace(/"/g, '""')}"`;
  const csv = (head, rows) => [head, ...rows].map(r => r.map(cell).join(',')).join('\n') + '\n';
  const data = {
    findings: () => ['findings.json', 'application/json', JSON.stringify(read('findings'))],
    study: () => ['study.toml', 'text/plain', read('findings').provenance.study_file],
    points: () => ['points.csv', 'text/csv', csv(
      ['id', 'family', 'task', 'style', 'shots', 'metric', 'rung', 'params_non_embedding', 'seeds', 'items', 'value', 'low', 'high', 'by_seed', 'shape'],
      read('findings').abilities.flatMap(a => a.points.map(p => [a.id, a.family, a.task, a.style, a.shots, a.metric, p.rung, p.params, p.seeds,
        p.n, p.value, p.low, p.high, p.by_seed.map(s => `${s.seed}:${s.value}`).join(' '), a.shape])))],
    losses: () => ['losses.csv', 'text/csv', csv(['law', 'params_non_embedding', 'tokens', 'flops_6nd', 'loss', 'seed'],
      read('findings').laws.flatMap(l => l.points.map(p => [l.law, p.params, p.tokens, p.flops, p.loss, p.seed])))],
  };
  for (const b of document.querySelectorAll('[data-save]')) b.addEventListener('click', () => save(...data[b.dataset.save]()));
  globalThis.saltusPage = { data, picture, plots, text };

  // ---- cards: one metric at a time; a link to a hidden one shows it ----
  function choose(view) {
    const card = view.closest('.card');
    for (const v of card.querySelectorAll('.view')) v.hidden = v !== view;
    const select = card.querySelector('select');
    if (select) select.value = view.id;
    const plot = plots.get(view.querySelector('figure')?.dataset.figure);
    if (plot) render(plot);
  }
  for (const s of document.querySelectorAll('select.metric')) {
    s.selectedIndex = 0;
    s.addEventListener('change', () => choose(document.getElementById(s.value)));
  }
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const view = target?.closest('.view');
    if (view) { choose(view); view.closest('.card').scrollIntoView({ block: 'center' }); }
  }
  addEventListener('hashchange', reveal);
  if (location.hash) reveal();

  // ---- the table ----
  const table = document.querySelector('table.verdicts');
  if (table) {
    const body = table.tBodies[0], every = document.getElementById('all-metrics'), shown = document.getElementById('shown');
    const buttons = [...document.querySelectorAll('.filters [data-shape]')];
    const search = document.getElementById('search');
    let shape = '';
    const filter = () => {
      let n = 0;
      const wanted = search.value.trim().toLowerCase();
      for (const row of body.rows) {
        row.hidden = (shape !== '' && row.dataset.shape !== shape) || ('secondary' in row.dataset && !every.checked)
          || (wanted !== '' && !row.cells[0].textContent.toLowerCase().includes(wanted));
        if (!row.hidden) n++;
      }
      for (const b of buttons) b.setAttribute('aria-pressed', b.dataset.shape === shape);
      shown.textContent = `${n} of ${body.rows.length} rows shown.`;
    };
    for (const b of buttons) b.addEventListener('click', () => { shape = b.dataset.shape; filter(); });
    every.checked = false;
    every.addEventListener('change', filter);
    search.value = '';
    search.addEventListener('input', filter);
    filter();
    const value = row => i => {
      const c = row.cells[i], v = c.dataset.v;
      return v === undefined ? c.textContent.trim().toLowerCase() : v === '' ? Infinity : Number(v);
    };
    for (const button of table.querySelectorAll('.sort')) button.addEventListener('click', () => {
      const head = button.parentElement, i = head.cellIndex, up = head.getAttribute('aria-sort') !== 'ascending';
      for (const h of table.querySelectorAll('th[aria-sort]')) h.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const order = (a, b) => (typeof a === 'number' ? a - b : a.localeCompare(b, 'en', { numeric: true }));
      body.append(...[...body.rows].sort((r, s) => {
        const [a, b] = [value(r)(i), value(s)(i)];
        // What has no value stays last whichever way the column is sorted.
        if ((a === Infinity) !== (b === Infinity)) return a === Infinity ? 1 : -1;
        return a === b ? 0 : up ? order(a, b) : order(b, a);
      }));
    });
  }
})();
