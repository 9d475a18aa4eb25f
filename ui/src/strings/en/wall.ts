export const wall = {
  title: "Wall",
  elsewhere: "Without an area",
  online: (online: number, all: number) => `${online} of ${all} online`,
  none: "No cameras yet",
  noneHint: "Cameras are added in the settings file or over the API.",
  noPicture: "No picture",
  filter: "Filter",
  filterHint: "Name, area or status",
  nothingFits: "No camera fits the filter.",
  keyFilter: "Filter the cameras",
};
