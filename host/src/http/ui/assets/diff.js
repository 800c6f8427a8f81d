// What changed between two manifests, line by line.

/** A manifest with one line per field. */
function lines(manifest) {
  if (manifest === undefined || manifest === null) return [];
  try {
    return JSON.stringify(sorted(JSON.parse(manifest)), null, 2).split('\n');
  } catch {
    return JSON.stringify({ source: manifest }, null, 2).split('\n');
  }
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value).sort((a, b) => (b === 'source') - (a === 'source') || a.localeCompare(b));
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}

const MOST_LINES = 400;

/** Lines as `{ sign: '+' | '-' | ' ', text }`, by the longest common subsequence. */
export function difference(before, after) {
  const [a, b] = [lines(before).slice(0, MOST_LINES), lines(after).slice(0, MOST_LINES)];
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i][j] = a[i] === b[j]
        ? longest[i + 1][j + 1] + 1
        : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ sign: ' ', text: a[i] });
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || longest[i + 1][j] >= longest[i][j + 1])) {
      found.push({ sign: '-', text: a[i] });
      i += 1;
    } else {
      found.push({ sign: '+', text: b[j] });
      j += 1;
    }
  }
  return found;
}
