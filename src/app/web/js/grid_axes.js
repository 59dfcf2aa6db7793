// What an X/Y grid can go along.

export function axesOf(options) {
  const names = (list) => list.map(({name}) => name), {all, files} = options;
  const axes = [
    {name: 'steps', label: 'Steps', values: 'number'},
    {name: 'scale', label: 'Guidance', values: 'number'},
    {name: 'sampler', label: 'Sampler', values: 'choice', choices: names(all.samplers)},
    {name: 'schedule', label: 'Schedule', values: 'choice', choices: names(all.schedules)},
    {name: 'seed', label: 'Seed', values: 'number'},
    {name: 'prompt.replace', label: 'Words of the prompt', values: 'text'},
    {name: 'model', label: 'Model', values: 'choice', choices: names(options.models)},
    {name: 'vae', label: 'Autoencoder (VAE)', values: 'choice', choices: ['own', ...names(files.vaes)]},
    {name: 'width', label: 'Width', values: 'number'},
    {name: 'height', label: 'Height', values: 'number'},
    {name: 'strength', label: 'Change (with a picture)', values: 'number'},
    {name: 'hires.strength', label: 'Change (second pass)', values: 'number'},
  ];
  return axes.filter(({choices}) => !choices || choices.length > 1);
}
