/** Reads, draws and finds cells beside the page, which therefore never waits for them. */
import { CellPoints } from './cell_points.js';
import { Painter } from './painter.js';
import { cellAt, nearestCell, nextCell } from './picking.js';
import { PolygonTiles } from './polygon_tiles.js';

const layers = { a: null, b: null };
const opening = { a: null, b: null }; // address of the job that was asked for last
const marks = { a: null, b: null }; // {base, ids}: cells of a job that the other result lacks
const painter = new Painter();
const canvas = new OffscreenCanvas(1, 1);
const pen = canvas.getContext('2d');

const onTiles = (error) => postMessage(error ? { type: 'error', text: error.message } : { type: 'changed' });

async function open({ layer, base, job }) {
  layers[layer] = null;
  opening[layer] = base;
  const answer = await fetch(`${base}points.bin`);
  if (!answer.ok)
    throw new Error(`The cells of ${job.name} could not be read: the server answers ${answer.status}.`);
  const points = new CellPoints(await answer.arrayBuffer(), job.width, job.height);
  if (opening[layer] !== base) return;
  layers[layer] = {
    base,
    points,
    width: job.width,
    height: job.height,
    names: job.classes.map(({ name }) => name),
    colours: job.classes.map(({ color }) => color),
    tiles: new PolygonTiles(base, job.polygon_tile, job, onTiles),
    alone: null, // Uint8Array by id: 1 where the other result lacks the cell
  };
  useMarks(layer); // they may have come first
  const histogram = points.histogram(job.classes.length);
  postMessage({ type: 'opened', layer, base, histogram }, [histogram.buffer]);
}

function mark({ layer, base, ids }) {
  marks[layer] = { base, ids };
  useMarks(layer);
  postMessage({ type: 'changed' });
}

function useMarks(layer) {
  const { base, ids } = marks[layer] ?? {};
  if (layers[layer]?.base !== base || !base) return;
  const { points } = layers[layer];
  layers[layer].alone = null;
  if (!ids) return;
  const last = points.count ? points.id(points.count - 1) : 0;
  layers[layer].alone = new Uint8Array(last + 1);
  for (const id of ids) layers[layer].alone[id] = 1;
}

function draw({ view, style }) {
  [canvas.width, canvas.height] = [view.width, view.height];
  const detail = painter.draw(pen, layers, view, style);
  const bitmap = canvas.transferToImageBitmap();
  postMessage({ type: 'frame', view, bitmap, detail }, [bitmap]);
}

async function find({ ticket, how, style, x, y, id, step }) {
  let answer = null;
  for (const layer of ['a', 'b']) {
    if (!layers[layer] || (layer === 'b' && how !== 'at')) continue;
    if (how === 'at') answer = await cellAt(layers[layer], style, x, y);
    else if (how === 'nearest') answer = await nearestCell(layers[layer], style, x, y);
    else answer = await nextCell(layers[layer], style, id, step);
    if (answer) {
      answer.layer = layer;
      break;
    }
  }
  postMessage({ type: 'found', ticket, cell: answer });
}

const close = ({ layer }) => {
  layers[layer] = null;
  opening[layer] = null;
  postMessage({ type: 'changed' });
};

const ACTIONS = { open, close, mark, draw, find };

onmessage = async ({ data }) => {
  try {
    await ACTIONS[data.type](data);
  } catch (error) {
    postMessage({ type: 'error', text: error.message, ticket: data.ticket });
  }
};
