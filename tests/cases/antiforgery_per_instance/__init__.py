"""A form's token can be checked only by the process that made it (dotnet/aspnetcore#3540, #45706)."""
