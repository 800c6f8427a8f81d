// What the URL's fragment names: a view, and the stream that it is about, so that
// a link can be passed on.

/** The stream of requests that name none. */
export const DEFAULT_STREAM = 'default';

/** The view and the stream that are shown. */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  return { path, stream: new URLSearchParams(query).get('stream') || DEFAULT_STREAM };
}

/** The link to a view of a stream. */
export function linkTo(path, stream = place().stream) {
  return stream === DEFAULT_STREAM ? `#/${path}` : `#/${path}?${new URLSearchParams({ stream })}`;
}
