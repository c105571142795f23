// Requests to our own server. A refusal becomes an ApiError whose text is for the operator.

const TIMEOUT_MS = 10000;

export class ApiError extends Error {
  constructor(status, problem) {
    super([problem.error, problem.what_to_do].filter(Boolean).join(" "));
    this.status = status;
    this.alert = problem.alert ?? null;
  }
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError(0, {
      error: "The server does not answer.",
      what_to_do: "Nothing was changed as far as this page knows; try again when it is back.",
    });
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new ApiError(response.status, {
      ...problem, error: problem.error ?? `The server answered ${response.status}.`,
    });
  }
  return response.status === 204 ? null : response.json();
}

const post = (path, body) => request(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

const alertPath = (id, act) => `/api/v1/alerts/${encodeURIComponent(id)}/${act}`;

export const getPicture = () => request("/api/v1/picture");
export const getSession = () => request("/api/v1/session");
export const getBasemap = () => request("/api/v1/basemap");
export const getRefusals = () => request("/api/v1/refusals?limit=100");
export const getUnassigned = () => request("/api/v1/unassigned?limit=100");
export const takeStep = (alert, step, body) => post(alertPath(alert.alert_id, step), {
  ...body, version: alert.version,
});
export const getProtection = () => request("/api/v1/protection");
export const getLoad = () => request("/api/v1/load");
export const getFailedDeliveries = () => request("/api/v1/deliveries/failed");
export const getConduct = () => request("/api/v1/conduct");
export const getPattern = (id) => request(`/api/v1/conduct/${encodeURIComponent(id)}`);
const herPath = (person, what) => `/api/v1/protected/${encodeURIComponent(person)}/${what}`;
export const getChoices = (person) => request(herPath(person, "choices"));
export const getLooked = (person) => request(herPath(person, "looked"));
export const choose = (person, choices, note) => post(herPath(person, "choices"), { choices, note });
export const leave = () => post("/leave", {});
