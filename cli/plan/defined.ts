/** An object without the keys whose value is undefined. */
export function defined<T extends object>(value: T | undefined): Partial<T> {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, inner]) => inner !== undefined),
  ) as Partial<T>;
}
