/**
 * The URL of a Redis: `redis[s]://[user[:password]@]host[:port][/number]`.
 */

/** Whether it looks like one; with parameters, which are a fault of their own. */
export const isRedisUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { hostname, pathname, protocol } = new URL(text)
  return ["redis:", "rediss:"].includes(protocol) && hostname !== "" && /^(\/\d*)?$/.test(pathname)
}

/** What is wrong with one that looks like one, without its secrets; undefined if nothing is. */
export const fault = (text: string): string | undefined => {
  if (!isRedisUrl(text)) return "it must be a URL like redis://host:6379 or rediss://host:6379/0."
  const { hash, password, search, username } = new URL(text)
  const names = search.slice(1).split("&").flatMap((part) => /^([A-Za-z_][\w.-]{0,39})=/.exec(part)?.[1] ?? [])
  if (names.length > 0) {
    const [isOne, list] = [names.length === 1, names.join(", ")]
    return `its ${isOne ? "parameter" : "parameters"} ${list} ${isOne ? "is" : "are"} unknown: the URL takes none; use `
      + "rediss:// for TLS, state.ca_file for its CA, /number for the database and state.timeout_seconds."
  }
  if (search !== "" || hash !== "" || /[?#]/.test(text)) {
    return "nothing may follow ? or #; in a user name or password, write ? as %3F and # as %23."
  }
  return [username, password].every(isEncoded) ? undefined : "in a user name or password, write % as %25."
}

// -- internals ---------------------------------------------------------------

const isEncoded = (part: string): boolean => {
  try {
    decodeURIComponent(part)
    return true
  } catch {
    return false
  }
}
