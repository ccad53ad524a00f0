// Watches the page from its first moment; then uses it as a reader would, and reports to the frame around it.
const errors = [];
addEventListener('error', e => errors.push(`${e.message} at line ${e.lineno}`));
addEventListener('unhandledrejection', e => errors.push(String(e.reason)));
addEventListener('securitypolicyviolation', e => errors.push(`policy: ${e.violatedDirective} ${e.blockedURI}`));
const complain = console.error;
console.error = (...all) => { errors.push(all.join(' ')); complain(...all); };
// ==== after ====
setTimeout(() => {
  const page = document.documentElement, width = innerWidth;
  const figures = [...document.querySelectorAll('figure[data-figure]')];
  // Hidden views are drawn when chosen: choose each once, then the first again.
  for (const s of document.querySelectorAll('select.metric'))
    for (const i of [...Array(s.options.length).keys()].reverse()) { s.selectedIndex = i; s.dispatchEvent(new Event('change')); }
  const works = {};
  const marks = f => f.querySelectorAll('svg path, svg polyline').length;
  const wide = [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > width + 0.5 && !e.closest('.scroll, pre, svg, .tools')).slice(0, 4)
    .map(e => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
  const clipped = figures.flatMap(f => {
    const svg = f.querySelector('svg');
    if (!svg || !svg.getBoundingClientRect().width) return [];
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => {
      const b = t.getBoundingClientRect();
      return b.width && (b.left < box.left - 2 || b.right > box.right + 2 || b.bottom > box.bottom + 2 || b.top < box.top - 2);
    }).map(t => `${f.id}: ${t.textContent}`);
  });
  const report = {
    width, errors, wide, clipped,
    drawn: figures.filter(f => f.dataset.drawn === 'yes').length,
    empty: figures.filter(f => marks(f) < 4).length,
    overflow: page.scrollWidth - page.clientWidth,
    height: page.scrollHeight,
    works,
  };

  // One figure, as a reader uses it.
  const card = document.querySelector('.card figure'), plot = saltusPage.plots.get(card.dataset.figure);
  const canvas = plot.canvas, tip = document.getElementById('tip');
  const point = (type, x, y) => {
    const b = plot.drawn.svg.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, clientX: b.left + x, clientY: b.top + y }));
  };
  canvas.setPointerCapture = () => {};
  const hit = plot.drawn.hits.find(h => h.low !== undefined && h.low !== null);
  point('pointermove', hit.x, hit.y);
  works.hover = !tip.hidden && tip.textContent.includes('Non-embedding parameters');
  const before = plot.drawn.X.hi, { box } = plot.drawn;
  point('pointerdown', box.left + 30, box.top + 40);
  point('pointermove', box.left + 140, box.top + 45);
  point('pointerup', box.left + 140, box.top + 45);
  works.zoom = plot.drawn.X.hi < before / 2;
  canvas.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
  works.reset = plot.drawn.X.hi === before;
  const press = name => card.querySelector(`[data-state="${name}"]`).click();
  works['log x at first'] = plot.drawn.X.log === true;
  press('logx');
  works['log x off'] = plot.drawn.X.log === false;
  press('logx');
  press('logy');
  works['log y'] = plot.drawn.Y.log === true && !plot.drawn.svg.outerHTML.includes('NaN');
  press('logy');
  const dots = () => plot.drawn.hits.filter(h => /seed \d/.test(h.head)).length;
  const all = dots();
  press('seeds');
  works.seeds = all > 0 && dots() === 0;
  press('seeds');
  document.querySelector('[data-all="seeds"]').click();
  works['seeds in all'] = dots() === 0;
  document.querySelector('[data-all="seeds"]').click();
  canvas.focus();
  canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
  works.keyboard = document.getElementById('live').textContent.length > 10;
  const keyed = document.querySelector('.law figure');
  const key = keyed.querySelector('.key');
  key.dispatchEvent(new MouseEvent('click', { bubbles: true }));
  works.legend = keyed.querySelector('.key').getAttribute('aria-pressed') === 'false';
  keyed.querySelector('.key').dispatchEvent(new MouseEvent('click', { bubbles: true }));

  const svg = saltusPage.text(saltusPage.picture(plot));
  works['svg stands alone'] = !svg.includes('var(') && svg.includes('<text') &&
    !new DOMParser().parseFromString(svg, 'image/svg+xml').querySelector('parsererror');
  works['no number is missing in any picture'] = figures.every(f => !/NaN|undefined|Infinity/.test(f.querySelector('svg').outerHTML));
  const points = saltusPage.data.points()[2].trim().split('\n');
  works.csv = points.length > 100 && points[0].startsWith('"id","family"');
  works.json = JSON.parse(saltusPage.data.findings()[2]).schema === 1;

  const rows = () => [...document.querySelectorAll('table.verdicts tbody tr')].filter(r => !r.hidden);
  const most = rows().length;
  document.querySelector('.filters [data-shape="emergent"]').click();
  works.filter = rows().length > 0 && rows().length < most && rows().every(r => r.dataset.shape === 'emergent');
  const sizes = () => rows().map(r => Number(r.cells[3].dataset.v));
  document.querySelectorAll('.sort')[2].click();
  works.sort = sizes().every((v, i, a) => i === 0 || a[i - 1] <= v) && sizes().length > 1;
  document.querySelectorAll('.sort')[2].click();
  works['sort back'] = sizes().every((v, i, a) => i === 0 || a[i - 1] >= v);
  document.querySelector('.filters [data-shape=""]').click();
  const search = document.getElementById('search'), name = rows()[0].cells[0].textContent.trim().toLowerCase().slice(0, 8);
  const seek = word => { search.value = word; search.dispatchEvent(new Event('input')); };
  seek(name);
  works.search = rows().length > 0 && rows().every(r => r.cells[0].textContent.toLowerCase().includes(name));
  seek('no such ability');
  works['search for nothing'] = rows().length === 0;
  seek('');
  document.getElementById('all-metrics').click();
  works['every metric'] = rows().length > most;
  document.getElementById('all-metrics').click();

  const inner = document.querySelectorAll('.view[hidden]')[0];
  location.hash = inner.id;
  dispatchEvent(new Event('beforeprint'));
  works['details open for print'] = [...document.querySelectorAll('section > details')].every(d => d.open);
  dispatchEvent(new Event('afterprint'));

  const image = new Image();
  const finish = drawn => { works['png'] = drawn; works['links open hidden views'] = !inner.hidden; parent.postMessage(JSON.stringify(report), '*'); };
  image.onload = () => {
    const c = document.createElement('canvas');
    c.width = c.height = 20;
    c.getContext('2d').drawImage(image, 0, 0, 20, 20);
    c.toBlob(b => finish(b.size > 50));
  };
  image.onerror = () => finish(false);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
}, 1500);
