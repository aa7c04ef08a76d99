// Series over time as CSV, and as one SVG with a small picture for each.

/** `columns` are the keys of the samples, the first of them the time in seconds. */
export const csv = (columns, samples) =>
  `${
    [columns, ...samples.map((sample) => columns.map((column) => sample[column]))].map((row) => row.join(",")).join(
      "\n"
    )
  }\n`

export const svg = (title, [time, ...columns], samples) => {
  const [width, height, left, gap] = [860, 90, 190, 20]
  const last = samples.at(-1)?.[time] ?? 1
  const picture = (column, index) => {
    const values = samples.map((sample) => sample[column])
    const [least, most] = [Math.min(...values), Math.max(...values)]
    const top = 40 + index * (height + gap)
    // A line that does not move is in the middle.
    const y = (value) => top + (most === least ? height / 2 : height - (value - least) / (most - least) * height)
    const x = (at) => left + at / last * (width - left - 20)
    const points = samples.map((sample) => `${x(sample[time]).toFixed(1)},${y(sample[column]).toFixed(1)}`).join(" ")
    return [
      `<rect x="${left}" y="${top}" width="${width - left - 20}" height="${height}" fill="#f6f8fa" stroke="#d0d7de"/>`,
      `<polyline points="${points}" fill="none" stroke="#0969da" stroke-width="1.2"/>`,
      `<text x="${left - 10}" y="${top + height / 2}" text-anchor="end" font-weight="bold">${column}</text>`,
      `<text x="${left - 10}" y="${top + 12}" text-anchor="end" fill="#57606a">${short(most)}</text>`,
      `<text x="${left - 10}" y="${top + height - 2}" text-anchor="end" fill="#57606a">${short(least)}</text>`
    ].join("\n")
  }
  const total = 40 + columns.length * (height + gap)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${total}" fill="#ffffff"/>`,
    `<text x="20" y="24" font-size="15">${title}</text>`,
    ...columns.map(picture),
    "</svg>",
    ""
  ].join("\n")
}

export const median = (values) => {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)]
}

/** Of a straight line through the values, per second (least squares). */
export const slope = (times, values) => {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length
  const [time, value] = [mean(times), mean(values)]
  const above = times.reduce((sum, at, index) => sum + (at - time) * (values[index] - value), 0)
  const below = times.reduce((sum, at) => sum + (at - time) ** 2, 0)
  return below === 0 ? 0 : above / below
}

const short = (value) => Number.isInteger(value) ? String(value) : value.toFixed(1)
