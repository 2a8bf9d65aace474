// Tables of the API as files.

/** Saves the CSV that the API answers there, under that name. */
export async function saveCsv(path, name) {
  const response = await fetch(path, { headers: { Accept: "text/csv" } });
  if (!response.ok) {
    const { error } = await response.json();
    throw new Error([error.message, error.remedy].join("; "));
  }
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
