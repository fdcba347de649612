/* global OpenSeadragon */
import { jobPath } from './api.js';
import { byId } from './element.js';
import { complain } from './status_line.js';

const CALM = matchMedia('(prefers-reduced-motion: reduce)');

/**
 * OpenSeadragon adds a style element unless it finds one, and the content security policy refuses
 * inline styles. An element of no namespace is found and styles nothing; css/image.css has the rule.
 */
function keepOutInlineStyle() {
  const stand = document.createElementNS(null, 'style');
  stand.setAttribute('data-openseadragon-mobile-css', '');
  document.head.append(stand);
}

/** The zoomable image: OpenSeadragon with the tiles of a job. Coordinates are pixels of the image. */
export class ImageViewer {
  #image = null; // of the job that is shown
  #width = 1;
  #height = 1;

  constructor(element) {
    keepOutInlineStyle();
    this.osd = OpenSeadragon({
      element,
      drawer: 'canvas',
      showNavigationControl: false,
      showNavigator: true,
      navigatorPosition: 'TOP_RIGHT',
      navigatorSizeRatio: 0.14,
      navigatorDisplayRegionColor: '#ffd400',
      maxZoomPixelRatio: 16,
      minZoomImageRatio: 0.7,
      visibilityRatio: 0.4,
      animationTime: CALM.matches ? 0 : 0.45,
      springStiffness: 9,
      zoomPerScroll: 1.3,
      zoomPerClick: 2,
      imageLoaderLimit: 6,
      maxImageCacheCount: 400,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, pinchRotate: false },
    });
    this.osd.canvas.setAttribute('role', 'application');
    this.osd.canvas.setAttribute(
      'aria-label',
      'Image. Arrow keys move, plus and minus zoom, 0 fits, Enter picks the cell in the middle.',
    );
    this.osd.addHandler('canvas-key', (event) => {
      // OpenSeadragon's other keys (rotate, flip, W A S D) would take ours.
      event.preventDefaultAction = !event.originalEvent.key.startsWith('Arrow');
    });
    this.osd.addHandler('open-failed', () => complain('The image could not be opened.'));
  }

  get isOpen() {
    return this.osd.world.getItemCount() > 0;
  }

  /** Show the image of a job, or nothing. The view stays if it is the same image. */
  show(job) {
    const image = job?.width ? job.image : null;
    if (image === this.#image) return;
    this.#image = image;
    byId('empty').hidden = Boolean(job);
    if (!image) {
      this.osd.close();
      return;
    }
    [this.#width, this.#height] = [job.width, job.height];
    const base = jobPath(job.id);
    const wholeLevel = job.max_level - Math.ceil(Math.log2(Math.max(job.width, job.height) / job.tile_size));
    this.osd.open({
      width: job.width,
      height: job.height,
      tileSize: job.tile_size,
      tileOverlap: 0,
      minLevel: Math.max(0, Math.min(wholeLevel, job.max_level)),
      maxLevel: job.max_level,
      getTileUrl: (level, x, y) => `${base}/tiles/${level}/${x}_${y}.jpg`,
    });
  }

  /** x, y of the left upper corner; scale in CSS pixels for one of the image; width, height in CSS pixels. */
  view() {
    const bounds = this.osd.viewport.getBounds(true);
    const size = this.osd.viewport.getContainerSize();
    return {
      x: bounds.x * this.#width,
      y: bounds.y * this.#width,
      scale: size.x / (bounds.width * this.#width),
      width: size.x,
      height: size.y,
    };
  }

  /** The point of the image at an OpenSeadragon position in the viewer. */
  pointAt(position) {
    const { x, y, scale } = this.view();
    return [x + position.x / scale, y + position.y / scale];
  }

  /** The same, moved onto the image if it lies beside it. */
  pointInside(position) {
    const [x, y] = this.pointAt(position);
    return [Math.min(this.#width, Math.max(0, x)), Math.min(this.#height, Math.max(0, y))];
  }

  /** The part of the image that is in view: [left, top, right, bottom]. */
  visibleBox() {
    const { x, y, scale, width, height } = this.view();
    return [
      Math.max(0, x),
      Math.max(0, y),
      Math.min(this.#width, x + width / scale),
      Math.min(this.#height, y + height / scale),
    ];
  }

  /** Move so that a point is in view, near enough to see a cell, and as little as need be beside the image. */
  lookAt(x, y) {
    const view = this.view();
    const scale = view.scale < 0.5 ? 1 : view.scale;
    const middle = (at, size, shown) =>
      shown >= size ? size / 2 : Math.min(size - shown / 2, Math.max(shown / 2, at));
    const [shownX, shownY] = [view.width / scale, view.height / scale];
    const inside =
      scale === view.scale &&
      Math.abs(x - view.x - shownX / 2) < 0.45 * shownX &&
      Math.abs(y - view.y - shownY / 2) < 0.45 * shownY;
    if (inside) return;
    const [middleX, middleY] = [middle(x, this.#width, shownX), middle(y, this.#height, shownY)];
    const { viewport } = this.osd;
    viewport.panTo(new OpenSeadragon.Point(middleX / this.#width, middleY / this.#width));
    if (scale !== view.scale) viewport.zoomTo(viewport.getZoom(true) * (scale / view.scale));
  }

  zoomBy(factor) {
    this.osd.viewport.zoomBy(factor);
    this.osd.viewport.applyConstraints();
  }

  fit() {
    this.osd.viewport.goHome();
  }

  focus() {
    this.osd.canvas.focus();
  }
}
