/** The server's interface, as /openapi.json documents it. Failures are an ApiError of one sentence. */
export class ApiError extends Error {}

const WRITE = { 'X-Cellseg': '1' };

const sentence = (text, status) => {
  try {
    return JSON.parse(text).error || `The server answers ${status}.`;
  } catch {
    return `The server answers ${status}.`;
  }
};

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError('The server does not answer; is cellseg serve still running?');
  }
  if (!answer.ok) throw new ApiError(sentence(await answer.text(), answer.status));
  return answer.status === 204 ? null : answer.json();
}

const query = (values) => {
  const given = Object.entries(values).filter(
    ([, value]) => value !== '' && value !== null && value !== undefined,
  );
  return given.length ? `?${new URLSearchParams(given)}` : '';
};

export const jobPath = (id) => `jobs/${encodeURIComponent(id)}`;

export const models = () => ask('models');
export const jobs = () => ask('jobs');
export const jobOf = (id) => ask(jobPath(id));
export const removeJob = (id) => ask(jobPath(id), { method: 'DELETE', headers: WRITE });
export const cellOf = (id, cell) => ask(`${jobPath(id)}/cells/${cell}`);
export const agreement = (a, b, minScore) =>
  ask(`${jobPath(a)}/agreement/${encodeURIComponent(b)}${query({ min_score: minScore })}`);
export const segmentAgain = (id, model) =>
  ask(`${jobPath(id)}/segment${query({ model })}`, { method: 'POST', headers: WRITE });
export const addTruth = (id, file) =>
  ask(`${jobPath(id)}/truth${query({ name: file.name })}`, { method: 'POST', headers: WRITE, body: file });
export const countIn = (id, polygon, minScore) =>
  ask(`${jobPath(id)}/count${query({ min_score: minScore })}`, {
    method: 'POST',
    headers: { ...WRITE, 'Content-Type': 'application/json' },
    body: JSON.stringify({ polygon }),
  });

/** Send an image; `onProgress` hears the share that has been sent. Resolves to the job. */
export function segment(file, { model, mpp }, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.open('POST', `segment${query({ name: file.name, model, mpp })}`);
    request.setRequestHeader('X-Cellseg', '1');
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () =>
      request.status < 300
        ? resolve(JSON.parse(request.responseText))
        : reject(new ApiError(sentence(request.responseText, request.status)));
    request.onerror = () =>
      reject(new ApiError(`${file.name} could not be sent: the server does not answer.`));
    request.send(file);
  });
}
