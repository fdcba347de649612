import { segment } from './api.js';
import { byId, element } from './element.js';
import { complain, say } from './status_line.js';

const IS_TRUTH = /\.(geojson|geojson\.gz|json)$/i;

/** Opens images: by the button, or dropped anywhere. A dropped GeoJSON file holds true cells. */
export class ImageOpener {
  constructor(state, { watch, list, compare }) {
    Object.assign(this, { state, watch, list, compare });
    const file = byId('file');
    this.choose = () => file.click();
    byId('open').onclick = this.choose;
    byId('empty-open').onclick = this.choose;
    byId('open-form').onsubmit = (event) => event.preventDefault();
    file.onchange = () => {
      const files = [...file.files]; // emptied with the next line
      file.value = '';
      this.#take(files);
    };
    this.#acceptDrops();
    byId('model').onchange = () => this.#noteModel();
    state.on(['models'], () => this.#listModels());
  }

  #listModels() {
    const options = this.state.models.map((model) =>
      element('option', { value: model.name, selected: model.default }, model.name),
    );
    byId('model').replaceChildren(...options);
    this.#noteModel();
  }

  #noteModel() {
    const model = this.state.models.find(({ name }) => name === byId('model').value);
    byId('model-note').textContent = model?.classes.length
      ? `Finds ${model.classes.map(({ name }) => name).join(', ')}.`
      : '';
  }

  #acceptDrops() {
    const holdsFiles = (event) => event.dataTransfer?.types.includes('Files');
    let depth = 0;
    const show = (change) => {
      depth = Math.max(0, change === null ? 0 : depth + change);
      byId('drop').hidden = depth === 0;
    };
    addEventListener('dragenter', (event) => holdsFiles(event) && show(1));
    addEventListener('dragleave', (event) => holdsFiles(event) && show(-1));
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
      event.preventDefault();
      show(null);
      this.#take([...(event.dataTransfer?.files ?? [])]);
    });
  }

  async #take(files) {
    const truths = files.filter(({ name }) => IS_TRUTH.test(name));
    for (const file of truths) await this.compare.addTruth(file);
    const images = files.filter(({ name }) => !IS_TRUTH.test(name));
    for (const [i, file] of images.entries()) await this.#send(file, i === 0);
  }

  async #send(file, show) {
    const field = byId('mpp');
    if (!field.validity.valid) {
      complain('µm per pixel is a number between 0.01 and 100, such as 0.25; empty means as the file says.');
      field.focus();
      return;
    }
    const progress = this.list.sending(file);
    say(`Sending ${file.name} …`);
    try {
      const job = await segment(file, { model: byId('model').value, mpp: field.value }, progress);
      await this.watch.refresh();
      if (show) this.watch.show(job.id);
      say(`${file.name} is sent.`);
    } catch (error) {
      complain(error);
    } finally {
      progress(null);
    }
  }
}
