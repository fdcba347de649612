/** Puts the page together. */
import { models } from './api.js';
import { CellLayer } from './cell_layer.js';
import { CellPanel } from './cell_panel.js';
import { ClassPanel } from './class_panel.js';
import { ComparePanel } from './compare_panel.js';
import { startDownloads } from './download_panel.js';
import { byId } from './element.js';
import { ImageViewer } from './image_viewer.js';
import { JobList } from './job_list.js';
import { startKeyboard } from './keyboard.js';
import { ImageOpener } from './open_image.js';
import { startProgressChip } from './progress_chip.js';
import { RegionPanel } from './region_panel.js';
import { RegionTool } from './region_tool.js';
import { startScaleBar } from './scale_bar.js';
import { startSideTabs } from './side_tabs.js';
import { initialState } from './state.js';
import { complain } from './status_line.js';
import { startTheme, toggleTheme } from './theme.js';
import { startTitleBar } from './title_bar.js';
import { startToolbar } from './toolbar.js';
import { JobWatch } from './watch_jobs.js';

startTheme();
export const state = initialState();
export const viewer = new ImageViewer(byId('viewer'));
state.on(['job'], () => viewer.show(state.job));
export const layer = new CellLayer(viewer, state);
const watch = new JobWatch(state);
const tool = new RegionTool(viewer, state);
const classes = new ClassPanel(state);
const cell = new CellPanel(viewer, layer, state);
const list = new JobList(state, watch);
const compare = new ComparePanel(state, watch);
const opener = new ImageOpener(state, { watch, list, compare });
new RegionPanel(tool, state);
startProgressChip(state, watch);
startDownloads(state);
startScaleBar(viewer, state);
startToolbar({ viewer, tool, state });
startTitleBar(state);
startSideTabs(state);
startKeyboard({ viewer, tool, classes, cell, opener, state, toggleTheme });

layer.onDetail = (detail) => {
  byId('detail').textContent = detail === 'nothing' ? '' : `cells as ${detail}`;
};

models().then((found) => state.set({ models: found }), complain);
await watch.refresh();
if (!state.job && state.jobs.length && !location.hash) watch.show(state.jobs[0].id);
