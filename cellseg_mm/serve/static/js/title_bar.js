import { sourceOf } from './compare_panel.js';
import { byId } from './element.js';
import { whole } from './numbers.js';

/** What is open, in the bar and in the window's title; warnings of the job above its cells. */
export function startTitleBar(state) {
  state.on(['job'], () => {
    const { job } = state;
    const size = job?.width ? `${whole(job.width)} × ${whole(job.height)} px` : '';
    const scale = job?.mpp ? `${Number(job.mpp[0].toFixed(4))} µm per pixel` : '';
    document.title = job ? `${job.name} – cellseg` : 'cellseg';
    byId('title').textContent = job?.name ?? 'No image is open';
    byId('subtitle').textContent = job ? [sourceOf(job), size, scale].filter(Boolean).join(' · ') : '';
    byId('warnings').hidden = !job?.warnings?.length;
    byId('warnings').textContent = job?.warnings?.join(' ') ?? '';
  });
}
