import { jobPath } from './api.js';
import { byId, element } from './element.js';

const WORDS = {
  geojson: 'GeoJSON (QuPath)',
  'geojson.gz': 'GeoJSON, compressed',
  labels: 'Label map (OME-TIFF)',
  csv: 'Table (CSV)',
  parquet: 'Table (Parquet)',
  roi: 'ImageJ ROIs',
  overlay: 'Overlay (PNG)',
  'overlay.jpg': 'Overlay (JPEG)',
};

/** Links to the results in every format, as `cellseg segment` writes them. */
export function startDownloads(state) {
  let shown;
  const show = () => {
    const job = state.job?.state === 'done' ? state.job : null;
    const listed = JSON.stringify([job?.id, job?.formats]);
    if (listed === shown) return;
    shown = listed;
    if (!job) {
      byId('downloads').replaceChildren(
        element('p', { className: 'note' }, 'Results are here when an image is done.'),
      );
      return;
    }
    const link = (file, words, name) =>
      element('a', { href: `${jobPath(job.id)}/results/${file}`, download: '', className: name }, words);
    byId('downloads').replaceChildren(
      element(
        'div',
        { className: 'links' },
        job.formats.map((format) => link(encodeURIComponent(format), WORDS[format] ?? format, '')),
      ),
      link('all.zip', 'All as one ZIP', 'all'),
    );
  };
  state.on(['job'], show);
  show();
}
